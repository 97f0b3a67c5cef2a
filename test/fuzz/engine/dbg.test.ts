import { test } from 'vitest';
import { honestConversation } from './support/honest-conversation.ts';
import { IncomingTarget } from './support/incoming-target.ts';
import { nameOf } from './support/frames.ts';
test('x', async () => {
  for (const [m, v] of [['precopy','after'],['precopy','strict'],['stop','off']] as const) {
    const c = await honestConversation(m, v);
    console.log(c.fromSource.map(nameOf).join(' '), '|', c.fromDestination.map(nameOf).join(' '));
    const t = new IncomingTarget();
    for (const f of c.fromSource) { t.peer.send(f); await t.clock.advance(2); }
    console.log(await t.finish(false));
  }
});
