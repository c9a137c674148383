/** A long run over requests: `node test/fuzz/requests.ts --executions 1e6 --seed 1`. Findings are printed, shortened. */
import { runCommand } from './command.ts';

runCommand('request');
