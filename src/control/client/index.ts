export { QmpClient, type QmpClientOptions, type QmpEvent } from './qmp-client.ts';
export { QmpError } from './qmp-error.ts';
