import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SternaError, toSternaError } from '../../../base/index.ts';

export interface InitScript {
  readonly name: string;
  readonly text: string;
}

/** The build copies this folder beside the code. */
const FOLDER = new URL('../init/', import.meta.url);
const SIZE_MAX = 2 ** 20;

/** The scripts that come with Sterna: every image has all of them, whichever it starts. */
export function ownInitScripts(): InitScript[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sh'))
    .sort()
    .map((file) => ({
      name: file.replace(/\.sh$/, ''),
      text: readFileSync(fileURLToPath(new URL(file, FOLDER)), 'utf8'),
    }));
}

/** `--init`: one of our own by its name, or a file. */
export function findInitScript(nameOrPath: string): InitScript {
  const own = ownInitScripts();
  const script = own.find(({ name }) => name === nameOrPath) ?? readScript(nameOrPath, own);
  if (script.text === '' || script.text.includes('\0')) {
    throw new SternaError('E_CONFIG_INVALID', `--init ${nameOrPath} is no script`, {
      detail: { expected: 'a text for sh, or with #! and the path of its interpreter' },
    });
  }
  return script;
}

function readScript(path: string, own: readonly InitScript[]): InitScript {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > SIZE_MAX) throw new Error('It is longer than 1 MiB');
    return { name: 'init', text: bytes.toString('utf8') };
  } catch (thrown) {
    const { detail } = toSternaError(thrown, 'E_FILE', '');
    throw new SternaError('E_CONFIG_INVALID', `--init ${path} cannot be read`, {
      detail: { ...detail, 'own-scripts': own.map(({ name }) => name) },
    });
  }
}
