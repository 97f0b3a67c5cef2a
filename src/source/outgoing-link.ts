import type { Channel } from '../channel/index.ts';
import { FrameSender } from './frames/frame-sender.ts';
import { MissingPageSender } from './frames/missing-page-sender.ts';
import { PageSender } from './frames/page-sender.ts';
import { PageChannels } from './further/page-channels.ts';
import { Interrupt } from './interrupt.ts';
import { LinkMeter } from './link-meter.ts';
import type { OutgoingContext } from './outgoing-context.ts';
import { Peer } from './peer.ts';

/**
 * What belongs to one connection, and to those for pages beside it. A migration whose connection
 * was lost after the guest was handed over goes on with another one.
 */
export type OutgoingLink = Pick<
  OutgoingContext,
  | 'channel'
  | 'pageChannels'
  | 'interrupt'
  | 'meter'
  | 'peer'
  | 'frames'
  | 'pageSender'
  | 'missingSender'
  | 'sentBytes'
>;

/** `before`: what the migration had until now; `sentBytes` goes on counting. */
export function openLink(
  channel: Channel,
  before: Pick<OutgoingContext, 'clock' | 'machine' | 'parameters' | 'codec'> &
    Partial<OutgoingLink>,
): OutgoingLink {
  const { clock, machine, parameters, codec } = before;
  const interrupt = new Interrupt(clock);
  const meter = new LinkMeter();
  const peer = new Peer(channel, clock, interrupt, meter);
  const pageChannels = new PageChannels(channel, peer, meter);
  const parts = { memory: machine.memory, channels: pageChannels, clock, interrupt, meter, codec };
  const frames = new FrameSender(parts, parameters.maxBandwidthBytesPerSecond);
  const sentBefore = before.sentBytes?.() ?? 0;
  return {
    channel,
    pageChannels,
    interrupt,
    meter,
    peer,
    frames,
    pageSender: new PageSender(frames, parts),
    missingSender: new MissingPageSender(frames, parts),
    sentBytes: () => sentBefore + pageChannels.sentBytes,
  };
}
