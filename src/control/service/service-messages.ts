import type { LogLevel } from '../../base/index.ts';
import type { TcpAddress } from '../../channel/index.ts';

export interface ServiceSettings {
  readonly name: string;
  readonly logLevel: LogLevel;
  readonly address: TcpAddress;
}

/** From the main thread. `serve`: the guest with this mailbox lives here. */
export type ServiceOrder =
  | { readonly type: 'serve'; readonly mailbox: SharedArrayBuffer }
  | { readonly type: 'withdraw' };

/** From the worker, once. */
export type ServiceReport =
  | { readonly type: 'listening'; readonly address: string }
  | { readonly type: 'failed'; readonly message: string; readonly cause: string };
