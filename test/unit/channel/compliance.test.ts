import { Random } from '../../../src/base/index.ts';
import { describeChannel } from '../../support/channel-compliance.ts';
import { fileHarness, memoryHarness, tcpHarness } from '../../support/channel-harness.ts';
import { describeDuplexChannel } from '../../support/duplex-compliance.ts';

const unevenPieces = (seed: number) => {
  const random = new Random(seed);
  return () => 1 + random.below(random.below(4) === 0 ? 40 : 100_000);
};

describeDuplexChannel(
  tcpHarness({ name: 'TCP, accepted, in place', readMode: 'in-place', receiver: 'accepted' }),
);
describeDuplexChannel(
  tcpHarness({ name: 'TCP, accepted, data events', readMode: 'data-events', receiver: 'accepted' }),
);
describeDuplexChannel(
  tcpHarness({ name: 'TCP, connecting', readMode: 'in-place', receiver: 'connected' }),
);
describeDuplexChannel(
  tcpHarness({
    name: 'TCP in uneven pieces',
    readMode: 'in-place',
    receiver: 'accepted',
    pieceBytes: unevenPieces(1),
  }),
);
describeDuplexChannel(memoryHarness('memory'));
describeDuplexChannel(memoryHarness('memory in uneven pieces', { pieceBytes: unevenPieces(2) }));
describeChannel(fileHarness());
