// A process that removes a user from all accounts, and writes a line after each step, until somebody kills it: after
// forty steps it waits for that.
// Arguments: the Redis URL, the workspace, the user. It runs the sources as they are.
require('./typescript');
const { join } = require('node:path');

const source = (path) => require(join(__dirname, '../../src', path));
const { connectPatiently, parseRedisUrl } = source('store/connection');
const { createMembers } = source('membership/members');
const { createKeys } = source('store/keys');
const { loadScripts } = source('store/scripts');

const [url, workspace, user] = process.argv.slice(2);
const redis = connectPatiently(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 5_000, reconnectMs: 20 });
const { evalsha } = redis;
let steps = 0;
redis.evalsha = async (...args) => {
  const reply = await evalsha.apply(redis, args);
  process.stdout.write('step\n');
  steps += 1;
  // On a busy machine it would else be done before it is killed.
  if (steps === 40) await new Promise(() => undefined);
  return reply;
};
createMembers({ redis, scripts: loadScripts(), keys: createKeys(workspace) })
  .removeFromAll(user, { id: 'test', name: null }, 'api')
  .then(() => redis.disconnect());
