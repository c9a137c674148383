/** The largest heads that are taken: many fields, and many bytes of them. */
import { LEADERS, peers, type Scenario } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

/** Fields so that the head has 100 of them, and is just short of 32 KiB. */
function fields(cookies: string): string[] {
  const count = 100 - 11;
  const room = 32_700 - requestOf(999, { cookies }).length;
  const each = Math.floor(room / count);
  return Array.from({ length: count }, (_, index) => {
    const name = `X-Custom-Field-${index}: `;
    return name + 'v'.repeat(each - name.length - 2);
  });
}

export const largeHeads: Scenario = {
  name: 'large-heads',
  title: 'Worst-case heads',
  about: '64 kept connections, heads of 100 fields and 32 KB, answers of 1 KB.',
  traffic: {
    entries: (cookies) =>
      cookies.slice(0, 200).map((own, index) => ({
        request: requestOf(index, { cookies: own, fields: fields(own) }),
        status: 200,
        body: 1024,
      })),
    connections: 64,
  },
  contenders: peers(LEADERS, { largeHeads: true }),
  reference: 'haproxy',
};
