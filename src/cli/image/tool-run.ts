import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SternaError } from '../../base/index.ts';

export interface ToolCall {
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  readonly input?: Uint8Array;
  /** Takes standard output as it comes; otherwise it is collected. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** Takes lines of descriptor 3, on which apt tells its progress. */
  readonly onStatus?: (line: string) => void;
  readonly limitMs?: number;
}

export interface ToolResult {
  readonly status: number | null;
  readonly output: Buffer;
  readonly complaints: string;
}

/** A slow mirror may take long; one that says nothing at all is cut off by apt itself. */
const LIMIT_MS = 3_600_000;
/** For a tool that was asked to end, before it is ended. */
const GRACE_MS = 5_000;
/** What a tool that failed says first and last is worth reading; a flood of it is not. */
const COMPLAINTS_MAX = 64 * 1024;

/** Runs the programs of the host that an image is made with. */
export class ToolRunner {
  private readonly environment: Readonly<Record<string, string | undefined>>;
  private readonly signal: AbortSignal;

  constructor(environment: Readonly<Record<string, string | undefined>>, signal: AbortSignal) {
    // Messages are searched for a few words, so they must come in one language.
    this.environment = { ...environment, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
    this.signal = signal;
  }

  /** Where a program lies, or undefined. */
  find(name: string): string | undefined {
    // Debian keeps nothing that is needed here in sbin, and other systems have no such tools.
    const directories = (this.environment.PATH ?? '').split(delimiter);
    return directories.map((directory) => join(directory, name)).find(isProgram);
  }

  /** Its status and output. Throws when it cannot be run, is cancelled, or takes too long. */
  async run(name: string, call: ToolCall): Promise<ToolResult> {
    this.checkCancelled();
    const path = this.find(name);
    if (path === undefined) throw missingTool(name);
    const child = spawn(path, [...call.arguments], {
      env: { ...this.environment, ...call.environment },
      ...(call.directory === undefined ? {} : { cwd: call.directory }),
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    const result = await this.collect(child, name, call);
    this.checkCancelled();
    return result;
  }

  checkCancelled(): void {
    if (this.signal.aborted) {
      throw new SternaError('E_CANCELLED', 'The image was not made: interrupted');
    }
  }

  private collect(child: ChildProcess, name: string, call: ToolCall): Promise<ToolResult> {
    const limitMs = call.limitMs ?? LIMIT_MS;
    const output: Buffer[] = [];
    let complaints = '';
    let failure: unknown;
    let lastWord: NodeJS.Timeout | undefined;
    const kill = () => {
      child.kill('SIGTERM');
      lastWord ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    };
    const deadline = setTimeout(() => {
      failure ??= new SternaError('E_IMAGE_TOOL', `${name} did not end`, { detail: { limitMs } });
      child.kill('SIGKILL');
    }, limitMs);
    this.signal.addEventListener('abort', kill);
    child.stdout?.on('data', (chunk: Buffer) => {
      if (failure !== undefined) return;
      try {
        if (call.onOutput === undefined) output.push(chunk);
        else call.onOutput(chunk);
      } catch (thrown) {
        failure = thrown;
        kill();
      }
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      complaints = (complaints + chunk.toString('utf8')).slice(-COMPLAINTS_MAX);
    });
    (child.stdio[3] as NodeJS.ReadableStream).on('data', lineSplitter(call.onStatus));
    // A program that ends before it has read everything is judged by its status.
    child.stdin?.on('error', () => {});
    child.stdin?.end(call.input);
    return new Promise<ToolResult>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(new SternaError('E_IMAGE_TOOL', `${name} cannot be run`, { cause }));
      });
      child.once('close', (status) => {
        if (failure === undefined) resolve({ status, output: Buffer.concat(output), complaints });
        else reject(failure);
      });
    }).finally(() => {
      clearTimeout(deadline);
      clearTimeout(lastWord);
      this.signal.removeEventListener('abort', kill);
    });
  }
}

export function missingTool(...names: readonly string[]): SternaError {
  return new SternaError('E_IMAGE_TOOL', `This host lacks ${names.join(', ')}`);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function lineSplitter(take: ((line: string) => void) | undefined): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take?.(line);
  };
}
