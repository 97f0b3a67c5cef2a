import { type Clock, type Logger, PROBE_BYTES_MAX, SternaError } from '../../base/index.ts';
import {
  type BodyResult,
  decodeError,
  decodeProbeEnd,
  encodeProbeAck,
  encodeProbeResult,
  errorFromBody,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type MessageName,
  type ProbeBody,
} from '../../protocol/index.ts';
import { sayFarewell } from '../farewell.ts';
import type { RunningProbe } from '../incoming-contract.ts';
import type { IncomingLink, LinkOwner } from '../incoming-link.ts';
import { ProgressTeller } from '../progress-teller.ts';
import { ArrivalRecord } from './arrival-record.ts';

/** What is on its way at the end of the probe has so long to come, and the answer to go. */
const GRACE_MS = 5_000;

export interface ProbeReceiverOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly link: IncomingLink;
}

/**
 * A connection on which the source measures the link: what comes is counted and dropped. It holds
 * one frame and a few hundred moments, ends by itself, and touches neither guest nor records.
 */
export class ProbeReceiver implements LinkOwner, RunningProbe {
  private readonly options: ProbeReceiverOptions;
  private readonly teller: ProgressTeller;
  private readonly over = new AbortController();
  private arrivals: ArrivalRecord | undefined;
  private receivedBytes = 0;
  private isTold = false;

  constructor(options: ProbeReceiverOptions) {
    this.options = options;
    const { clock, link } = options;
    link.give(this);
    this.teller = new ProgressTeller(
      clock,
      () => link,
      () => 0,
    );
  }

  /** Answers the PROBE that came over the link. */
  begin({ durationMs }: ProbeBody): void {
    const { clock, link, log } = this.options;
    log.info({ event: 'probe.begun', peer: link.channel.name, durationMs });
    const limitMs = durationMs + GRACE_MS;
    this.arrivals = new ArrivalRecord(limitMs);
    void clock.sleep(limitMs, this.over.signal).then(() => {
      if (this.over.signal.aborted) return;
      this.refuse(
        new SternaError('E_CHANNEL_TIMEOUT', 'Probe did not end', { detail: { limitMs } }),
      );
    });
    link.send('PROBE_ACK', encodeProbeAck({ durationMs, bytes: PROBE_BYTES_MAX }));
  }

  get isMeasuring(): boolean {
    return !this.isTold && !this.over.signal.aborted;
  }

  /** Ends it, and tells the source why. Idempotent. */
  refuse(error: SternaError): void {
    if (this.over.signal.aborted) return;
    const { clock, link, log } = this.options;
    log.warn({ event: 'probe.ended', code: error.code, error: error.message });
    this.end();
    link.deafen();
    void sayFarewell(link.channel, clock, error);
  }

  placePages(_link: IncomingLink, { type }: FrameHeader): SternaError {
    return new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came in a probe', {
      detail: { type },
    });
  }

  handle(
    link: IncomingLink,
    name: MessageName,
    header: FrameHeader,
    body: Uint8Array,
  ): Promise<void> | undefined {
    switch (name) {
      case 'PROBE_DATA':
        this.receive(header);
        break;
      case 'PROBE_END':
        this.sum(body);
        break;
      case 'PING':
        link.answerPing(body, this.options.clock.nowMs());
        break;
      case 'ERROR':
        this.failed(link, errorFromBody(accept(decodeError(body)), 'source'));
        break;
      case 'GOODBYE':
        this.end();
        void link.channel.end();
        break;
      default:
    }
    return undefined;
  }

  failed(link: IncomingLink, error: SternaError): void {
    if (this.over.signal.aborted) return;
    if (error.detail.remote !== true) return this.refuse(error);
    this.end();
    void link.channel.end();
  }

  closed(link: IncomingLink): void {
    this.end();
    void link.channel.end();
  }

  supposed(): void {
    // Only a file supposes answers, and a file is refused.
  }

  private receive({ bodyBytes }: FrameHeader): void {
    this.receivedBytes += FRAME_HEADER_BYTES + bodyBytes;
    if (this.receivedBytes > PROBE_BYTES_MAX) {
      throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Probe is longer than was granted', {
        detail: { bytesMax: PROBE_BYTES_MAX },
      });
    }
    this.arrivals?.add(this.receivedBytes, this.options.clock.nowMs());
    this.teller.acknowledge();
  }

  private sum(body: Uint8Array): void {
    const { link, log } = this.options;
    const { receivedBytes } = this;
    const { bytes } = accept(decodeProbeEnd(body));
    if (bytes !== receivedBytes) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Probe had another length', {
        detail: { bytes, receivedBytes },
      });
    }
    const measured = this.arrivals?.measured() ?? { spanBytes: 0, spanMs: 0 };
    log.info({ event: 'probe.measured', peer: link.channel.name, receivedBytes, ...measured });
    this.isTold = true;
    link.send('PROBE_RESULT', encodeProbeResult({ receivedBytes, ...measured }));
  }

  private end(): void {
    this.over.abort();
  }
}

function accept<Body>(result: BodyResult<Body>): Body {
  if (result.kind === 'malformed') throw result.error;
  return result.body;
}
