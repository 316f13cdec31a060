// Runs before each test file of the project "cluster": the same suites, with the Cluster as the shared Redis.
process.env.SENDGATE_TEST_REDIS_URL = process.env.SENDGATE_TEST_CLUSTER_URL;
