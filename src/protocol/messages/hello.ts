import { NAME_LENGTH_MAX } from '../../base/index.ts';
import { type BodyResult, readBody, type Scalar } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { type HelloMachine, packMachine, readMachine } from './hello-machine.ts';

/** First message of a connection: who calls, about which guest, and what it would like to use. */
export interface HelloBody {
  /** Highest protocol version that the source speaks. */
  readonly protocol: number;
  /** For logs only, for example `sterna 0.1.0`. Nothing may depend on it. */
  readonly software: string;
  /** What this connection is for; further ones begin with JOIN. */
  readonly role: 'main';
  readonly migrationId: string;
  readonly guest: { readonly epoch: number };
  readonly pageBytes: number;
  readonly machine: HelloMachine;
  readonly capabilities: readonly string[];
  readonly parameters: Readonly<Record<string, Scalar>>;
  /** False for a stream into a file: nothing will be answered. */
  readonly duplex: boolean;
  /**
   * Known to the two sides of one migration only: whoever comes with a further connection of it
   * shows this. Absent: there will be none.
   */
  readonly secret?: string;
}

export const CAPABILITY_COUNT_MAX = 64;
export const CAPABILITY_BYTES_MAX = 64;
export const PARAMETERS_BYTES_MAX = 2048;
/** Highest epoch: its successor must still be exact in a JavaScript number. */
export const EPOCH_MAX = Number.MAX_SAFE_INTEGER - 1;
export const MIGRATION_ID = /^[A-Za-z0-9-]{1,64}$/;
export const SECRET = /^[0-9a-f]{32}$/;

export function encodeHello(body: HelloBody): Uint8Array {
  return packBody('HELLO', {
    protocol: body.protocol,
    software: body.software,
    role: body.role,
    migrationId: body.migrationId,
    guest: { epoch: body.guest.epoch },
    pageBytes: body.pageBytes,
    machine: packMachine(body.machine),
    capabilities: body.capabilities,
    parameters: body.parameters,
    duplex: body.duplex,
    ...(body.secret === undefined ? {} : { secret: body.secret }),
  });
}

export function decodeHello(bytes: Uint8Array): BodyResult<HelloBody> {
  return readBody('HELLO', bytes, (fields) => {
    const pageBytes = fields.integer('pageBytes', 512, 65_536);
    if ((pageBytes & (pageBytes - 1)) !== 0) fields.fail('pageBytes', 'is not a power of two');
    return {
      protocol: fields.integer('protocol', 1, 255),
      software: fields.text('software', NAME_LENGTH_MAX),
      role: fields.choice('role', ['main']),
      migrationId: fields.text('migrationId', 64, MIGRATION_ID),
      guest: { epoch: fields.map('guest').integer('epoch', 0, EPOCH_MAX - 1) },
      pageBytes,
      machine: readMachine(fields.map('machine'), pageBytes),
      capabilities: fields.texts('capabilities', CAPABILITY_COUNT_MAX, CAPABILITY_BYTES_MAX),
      parameters: fields.scalars('parameters', PARAMETERS_BYTES_MAX),
      duplex: fields.boolean('duplex'),
      ...(fields.has('secret') ? { secret: fields.text('secret', 32, SECRET) } : {}),
    };
  });
}
