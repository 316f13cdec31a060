const common = {
  testEnvironment: 'node',
  transform: { '^.+\\.[jt]s$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  // Published as ES modules only, which jest's own loader cannot require.
  transformIgnorePatterns: ['/node_modules/(?!(temporal-polyfill|temporal-utils)/)'],
  setupFilesAfterEnv: ['<rootDir>/test/support/jest/whole-hour.ts'],
};

/** @type {import('jest').Config} */
module.exports = {
  testTimeout: 60_000,
  maxWorkers: 2,
  projects: [
    {
      ...common,
      displayName: 'standalone',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      globalSetup: '<rootDir>/test/support/jest/standalone-setup.ts',
      globalTeardown: '<rootDir>/test/support/jest/standalone-teardown.ts',
    },
    {
      // What speaks to Redis, once more with a Redis Cluster of three nodes behind `sharedRedisUrl()`.
      ...common,
      displayName: 'cluster',
      testMatch: ['<rootDir>/test/store/**/*.test.ts', '<rootDir>/test/http/**/*.test.ts'],
      globalSetup: '<rootDir>/test/support/jest/cluster-setup.ts',
      globalTeardown: '<rootDir>/test/support/jest/cluster-teardown.ts',
      setupFiles: ['<rootDir>/test/support/jest/use-cluster.ts'],
    },
  ],
};
