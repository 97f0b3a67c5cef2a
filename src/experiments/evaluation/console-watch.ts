import type { Clock } from '../../base/index.ts';
import type { Sight } from './watched-client.ts';

/** `load N ok`, `load N BAD…`, and with `at SECONDS` the guest's own time. */
const PROGRESS = /load (\d+) (ok|BAD)(?: at (\d+(?:\.\d+)?))?/;
/** What a kernel or a program that is damaged says. */
const DAMAGE = /Kernel panic|Oops|BUG:|Call Trace|segfault|unhandled signal/;
const REST_MAX = 4096;
const LOOK_MS = 20;

/** What a Linux tells of its load on its consoles, line by line, wherever it is. */
export class ConsoleWatch {
  private readonly clock: Clock;
  private rest = '';
  private rounds = 0;
  private lost = 0;
  private bad = 0;
  private seenMs: number | undefined;
  private toldMs: number | undefined;
  private longestMs = 0;
  private longestToldMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Bytes as they come; a line counts when it is whole. */
  see(bytes: Uint8Array): void {
    const lines = (this.rest + Buffer.from(bytes).toString('latin1')).split('\n');
    this.rest = (lines.pop() ?? '').slice(-REST_MAX);
    for (const line of lines) this.note(line);
  }

  /** From here on gaps count: those before are of the load alone. */
  restart(): void {
    this.longestMs = 0;
    this.longestToldMs = 0;
  }

  /** Whether the load tells of two more rounds, which a guest that died cannot. */
  async goesOn(limitMs: number): Promise<boolean> {
    const [from, endMs] = [this.rounds, this.clock.nowMs() + limitMs];
    while (this.rounds < from + 2) {
      if (this.clock.nowMs() > endMs) return false;
      await this.clock.sleep(LOOK_MS);
    }
    return true;
  }

  /** A gap that has not ended counts too. */
  sight(): Sight {
    const nowMs = this.clock.nowMs();
    return {
      events: this.rounds,
      longestMs: Math.max(this.longestMs, nowMs - (this.seenMs ?? nowMs)),
      freezeMs: this.longestToldMs,
      lostFrames: this.lost,
      damagedFrames: this.bad,
      sessionsAlive: 1,
      sessionsDead: 0,
    };
  }

  private note(line: string): void {
    if (DAMAGE.test(line)) this.bad += 1;
    const [, number, outcome, seconds] = PROGRESS.exec(line) ?? [];
    if (number === undefined) return;
    if (outcome === 'BAD') this.bad += 1;
    // Of a load that tells only some of its rounds none is lost; one that goes back has lost some.
    if (Number(number) <= this.rounds) this.lost += 1;
    this.rounds = Number(number);
    const nowMs = this.clock.nowMs();
    this.longestMs = Math.max(this.longestMs, nowMs - (this.seenMs ?? nowMs));
    this.seenMs = nowMs;
    if (seconds === undefined) return;
    const toldMs = Number(seconds) * 1000;
    this.longestToldMs = Math.max(this.longestToldMs, toldMs - (this.toldMs ?? toldMs));
    this.toldMs = toldMs;
  }
}
