const { writeFileSync } = require('node:fs');

/**
 * Writes how many tests passed, failed and were skipped to the file that SENDGATE_TEST_TOTALS names. A test file that
 * could not be run at all counts as one that failed. (jest's own --json is silent when its global teardown fails.)
 */
module.exports = class JestTotals {
  onRunComplete(_contexts, results) {
    const totals = {
      passed: results.numPassedTests,
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
    };
    writeFileSync(process.env.SENDGATE_TEST_TOTALS, `${totals.passed} ${totals.failed} ${totals.skipped}\n`);
  }
};
