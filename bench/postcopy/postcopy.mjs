// 8. Post-copy: what a vCPU waits for, what the switch costs, how fast the rest follows, what order and a pass of pre-copy
// save. STERNA_BENCH_PARTS=faults,pause runs some of it.
import { faults } from './faults.mjs';
import { hybrid } from './hybrid.mjs';
import { order } from './order.mjs';
import { pause } from './pause.mjs';
import { push } from './push.mjs';

const PARTS = { faults, pause, push, order, hybrid };

export const postcopy = {
  name: 'postcopy',
  async run({ smoke, record }) {
    const only = process.env.STERNA_BENCH_PARTS?.split(',');
    for (const [part, run] of Object.entries(PARTS)) {
      if (only !== undefined && !only.includes(part)) continue;
      await run({ smoke, record: (result) => record({ part, ...result }) });
    }
  },
};
