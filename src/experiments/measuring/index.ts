export { describeMachine, loadNow, type Machine, unfitToRecord } from './machine.ts';
export { inShapedNamespace, kernelShapes } from './shaped-namespace.ts';
export { median, quantile, rounded, type Summary, spread, summary } from './statistics.ts';
