/**
 * Where built files are: workers and wasm modules always come from `dist/`, also when the caller
 * itself runs from `src/` (vitest, or Node with type stripping). One place decides, so that both
 * agree.
 */
export function artifactUrl(name: string, importMetaUrl: string): URL {
  return new URL(name, importMetaUrl.replace('/src/', '/dist/'));
}

/**
 * A worker's entry, for example `workerUrl('vcpu', import.meta.url)` for `vcpu.worker.ts` beside
 * the caller.
 */
export function workerUrl(name: string, importMetaUrl: string): URL {
  return artifactUrl(`./${name}.worker.js`, importMetaUrl);
}
