// Prints `N passed, N failed` for .ci/run, from vitest's JSON report and the exit codes of the
// steps.
//   node tools/count-tests.mjs REPORT CHECKS_EXIT_CODE TESTS_EXIT_CODE
import { readFileSync } from 'node:fs';

const [, , file, checksExitCode, testsExitCode] = process.argv;

/** A report that is missing or cut: vitest did not come to its end. */
function readReport() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

const report = readReport();
// A file that fails while it is loaded has no failed test.
const brokenFiles = report.testResults.filter(
  (result) =>
    result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
);
let failed = report.numFailedTests + brokenFiles.length;
// Anything else that made vitest fail: an unhandled error, a crash, no test at all.
if (testsExitCode !== '0' && failed === 0) failed = 1;
if (checksExitCode !== '0') failed += 1;

process.stdout.write(`${report.numPassedTests} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
