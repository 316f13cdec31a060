// A process that removes a user from all accounts, and writes a line after each step, until somebody kills it.
// Arguments: the Redis URL, the workspace, the user. It runs the sources as they are.
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { join } = require('node:path');
const { transformSync } = require('@swc/core');

Module._extensions['.ts'] = (module, file) => {
  const { code } = transformSync(readFileSync(file, 'utf8'), {
    filename: file,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  });
  module._compile(code, file);
};

const source = (path) => require(join(__dirname, '../../src', path));
const { connectPatiently, parseRedisUrl } = source('store/connection');
const { createMembers } = source('membership/members');
const { createKeys } = source('store/keys');
const { loadScripts } = source('store/scripts');

const [url, workspace, user] = process.argv.slice(2);
const redis = connectPatiently(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 5_000, reconnectMs: 20 });
const { evalsha } = redis;
redis.evalsha = async (...args) => {
  const reply = await evalsha.apply(redis, args);
  process.stdout.write('step\n');
  return reply;
};
createMembers({ redis, scripts: loadScripts(), keys: createKeys(workspace) })
  .removeFromAll(user, { id: 'test', name: null }, 'api')
  .then(() => redis.disconnect());
