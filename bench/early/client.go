// Sends POSTs one after another over kept connections and prints how many got no answer, and how many another one.
// Arguments: url status count bytes pieces chunked expect
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// pieces gives a body in so many pieces, a little apart.
type pieces struct {
	left, size int
	rest       int
}

func (p *pieces) Read(to []byte) (int, error) {
	if p.rest == 0 {
		if p.left == 0 {
			return 0, io.EOF
		}
		p.left--
		p.rest = p.size
		time.Sleep(2 * time.Millisecond)
	}
	n := min(len(to), p.rest)
	p.rest -= n
	return n, nil
}

func main() {
	number := func(at int) int {
		value, err := strconv.Atoi(os.Args[at])
		if err != nil {
			panic(err)
		}
		return value
	}
	url, status, count, size, parts := os.Args[1], number(2), number(3), number(4), number(5)
	transport := &http.Transport{ExpectContinueTimeout: time.Second}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	failed, wrong := 0, 0
	for range count {
		request, err := http.NewRequest("POST", url, &pieces{left: parts, size: size / parts})
		if err != nil {
			panic(err)
		}
		if os.Args[6] != "true" {
			request.ContentLength = int64(size)
		}
		if os.Args[7] == "true" {
			request.Header.Set("Expect", "100-continue")
		}
		answer, err := client.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		if err != nil {
			failed++
		} else if answer.StatusCode != status {
			wrong++
		}
	}
	fmt.Println(failed, wrong)
}
