import { Random } from '../../../src/base/index.ts';
import { type TestKeys, tcpHarness } from '../../support/channel-harness.ts';
import { describeDuplexChannel } from '../../support/duplex-compliance.ts';
import {
  clientKey,
  newAuthority,
  pskSecurity,
  serverKey,
  x509Security,
} from '../../support/test-keys.ts';

const made: Promise<TestKeys> = newAuthority().then(async (authority) => ({
  accept: x509Security(authority, await serverKey(authority)),
  connect: x509Security(authority, await clientKey(authority)),
}));
const certificates = () => made;
const psk = async () => ({
  accept: pskSecurity('alice', 7),
  connect: pskSecurity('alice', 7),
});

const accepted = { readMode: 'in-place', receiver: 'accepted' } as const;

describeDuplexChannel(
  tcpHarness({ ...accepted, name: 'TLS, accepted, in place', keys: certificates }),
);
describeDuplexChannel(
  tcpHarness({
    ...accepted,
    name: 'TLS, accepted, data events',
    readMode: 'data-events',
    keys: certificates,
  }),
);
describeDuplexChannel(
  tcpHarness({ ...accepted, name: 'TLS, connecting', receiver: 'connected', keys: certificates }),
);
describeDuplexChannel(tcpHarness({ ...accepted, name: 'TLS with a pre-shared key', keys: psk }));

const random = new Random(3);
describeDuplexChannel(
  tcpHarness({
    ...accepted,
    name: 'TLS in uneven pieces',
    keys: certificates,
    pieceBytes: () => 1 + random.below(random.below(4) === 0 ? 40 : 100_000),
  }),
);
