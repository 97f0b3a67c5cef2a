export { type Drawing, drawingsOf } from './drawings.ts';
export { type Figures, figuresOf } from './figures.ts';
export { measureOverLink } from './link.ts';
export { measureMigration } from './measure.ts';
export {
  newestBatch,
  parseRecords,
  type RecordsOf,
  type RunRecord,
  recordsIn,
} from './record.ts';
export { evaluationDocument, judgeRecords, rowText } from './report.ts';
export { Runner } from './runner.ts';
export type { MigrationSpec, Scenario } from './scenario.ts';
export { SCENARIOS } from './scenarios/index.ts';
