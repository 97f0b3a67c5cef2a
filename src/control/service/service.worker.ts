import { parentPort, workerData } from 'node:worker_threads';
import { assert, createLogger } from '../../base/index.ts';
import { Mailbox } from '../../guest/index.ts';
import type { ServiceOrder, ServiceReport, ServiceSettings } from './service-messages.ts';
import { ServicePort } from './service-port.ts';

/** The thread that owns the sockets of the guest's clients. */
const port = parentPort;
assert(port !== null, 'The service worker runs as a worker');
// ServiceHost is the only one who starts it.
const { name, logLevel, address } = workerData as ServiceSettings;
const service = new ServicePort(createLogger(logLevel, { agent: name, thread: 'service' }));
const report = (message: ServiceReport) => port.postMessage(message);

port.on('message', (order: ServiceOrder) => {
  if (order.type === 'serve') service.serve(new Mailbox(order.mailbox));
  else service.withdraw();
});
service.listen(address).then(
  (listening) => report({ type: 'listening', address: listening }),
  (error: Error) => report({ type: 'failed', message: error.message, cause: String(error.cause) }),
);
