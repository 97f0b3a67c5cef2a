import type { Fields, MigrationReply, Site } from './site.ts';
import { listenUri, type Stage } from './stage.ts';

/** Writes all over its memory, so that its vCPU soon waits for a page that has not come. */
export const GUEST = {
  workload: 'memwrite,fill=8M,hot=4M,rate=20000,words=8,step=512,pattern=random',
};

/** Pages that nobody waits for take their time: post-copy lasts as long as a test wants. */
export const CREEPING = { 'max-postcopy-bandwidth': 2 ** 16 };
/** And now it ends. */
export const UNLIMITED = { 'max-postcopy-bandwidth': 0 };

/** What a destination says beyond MigrationReply. */
export interface PostcopyReply extends MigrationReply {
  readonly 'postcopy-blocktime': number;
  readonly 'postcopy-vcpu-blocktime': readonly number[];
  readonly 'postcopy-latency': number;
  readonly 'postcopy-latency-dist': readonly number[];
}

/** `x-sterna.postcopy`. */
export interface PostcopyFields {
  readonly missing: number;
  readonly remaining: number;
  readonly requests: number;
  readonly recoveries: number;
  readonly 'waited-share': number;
  readonly 'paused-ms': number;
  readonly 'paused-error'?: { readonly code: string };
  readonly 'waits-for-resume': boolean;
  readonly 'blocktime-ms'?: number;
  readonly brownout?: readonly number[];
}

/** Zeros before the switch. */
export function postcopyOf(reply: MigrationReply): PostcopyFields {
  const ours = reply['x-sterna'] as unknown as { readonly postcopy?: PostcopyFields } | undefined;
  return (
    ours?.postcopy ?? {
      missing: 0,
      remaining: 0,
      requests: 0,
      recoveries: 0,
      'waited-share': 0,
      'paused-ms': 0,
      'waits-for-resume': false,
    }
  );
}

/** A guest that has left its source, with most of its pages still there. */
export async function switched(
  stage: Stage,
  parameters: Fields,
  way: (uri: string) => Promise<string> | string = (uri) => uri,
): Promise<{ readonly source: Site; readonly destination: Site }> {
  const [source, destination] = await Promise.all([
    stage.source('source', GUEST),
    stage.destination('destination'),
  ]);
  await source.advances(1000);
  await source.set({ ...CREEPING, ...parameters });
  await source.migrate(await way(listenUri(destination)));
  await destination.hasStatus('postcopy-active');
  return { source, destination };
}
