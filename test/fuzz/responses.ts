/** A long run over responses: `node test/fuzz/responses.ts --executions 1e6 --seed 1`. Findings are printed, shortened. */
import { runCommand } from './command.ts';

runCommand('response');
