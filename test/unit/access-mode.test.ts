import { createKeyCommand, parseRoles } from '../../src/access/commands';
import { type AccessFacts, accessMode, accessModeWords, isLoopback, isLoopbackAuthority } from '../../src/access/mode';
import { networkOf } from '../../src/http/auth';

const LOOPBACK_HOSTS = ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost', 'LocalHost'];
const OTHER_HOSTS = [
  '0.0.0.0',
  '::',
  '10.0.0.1',
  '128.0.0.1',
  'example.com',
  '',
  '127.0.0.1.example.com',
  '127.example',
];

const facts = (some: Partial<AccessFacts>): AccessFacts => ({
  host: '127.0.0.1',
  envKey: false,
  keysKnown: true,
  keyCount: 0,
  ...some,
});

test.each(LOOPBACK_HOSTS)('without a key, %s is served openly', (host) => {
  expect(accessMode(facts({ host }))).toBe('open');
});

test.each(OTHER_HOSTS)('without a key, %j is not served', (host) => {
  expect(accessMode(facts({ host }))).toBe('refused');
});

test.each([...LOOPBACK_HOSTS, ...OTHER_HOSTS])('with any key, %j asks for one', (host) => {
  expect(accessMode(facts({ host, envKey: true }))).toBe('keys');
  expect(accessMode(facts({ host, envKey: true, keysKnown: false }))).toBe('keys');
  expect(accessMode(facts({ host, keyCount: 1 }))).toBe('keys');
});

test.each([...LOOPBACK_HOSTS, ...OTHER_HOSTS])('until the keys are known, %j lets nobody in', (host) => {
  expect(accessMode(facts({ host, keysKnown: false }))).toBe('waiting');
});

test.each(OTHER_HOSTS)('%j is not a loopback name', (host) => {
  expect(isLoopback(host)).toBe(false);
});

test('the words for the operator name the address that others can reach, and what to do', () => {
  expect(accessModeWords('refused', '0.0.0.0')).toMatch(/0\.0\.0\.0.*SENDGATE_API_KEY.*keys create/);
  expect(accessModeWords('open', '127.0.0.1')).toMatch(/everybody on this machine.*keys create/);
});

test.each([
  ...['localhost', 'localhost:8080', '127.0.0.1', '127.0.0.1:1', '127.9.9.9:80', '[::1]', '[::1]:8080', 'LOCALHOST:80'],
])('a Host header %j names this machine', (authority) => {
  expect(isLoopbackAuthority(authority)).toBe(true);
});

test.each([
  ...['', ':8080', 'evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example:8080'],
  ...['localhost:8080@evil.example', 'evil.example#localhost', '::1', '[::2]:80', '0.0.0.0:8080', '[127.0.0.1', 'null'],
])('a Host header %j does not name this machine', (authority) => {
  expect(isLoopbackAuthority(authority)).toBe(false);
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:db8:0:0:1:2:3:4', '2001:db8:0:0'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['1::2:3:4:5:6:7', '1:0:2:3'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0'],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

describe('roles on the command line', () => {
  test('may be said with commas, several times, in any order, and repeat', () => {
    expect(parseRoles(['check'])).toEqual(['check']);
    expect(parseRoles(['read, check'])).toEqual(['check', 'read']);
    expect(parseRoles(['admin', 'read', 'read,admin'])).toEqual(['read', 'admin']);
  });

  test.each([[['checks']], [['check,']], [['']], [['Admin']], [['constructor']]])('%j is refused in words', (texts) => {
    expect(parseRoles(texts)).toMatch(/There is no role ".*": the roles are check, read, inbound, admin\./);
  });

  test('must be said', () => {
    expect(parseRoles([])).toMatch(/Say what the key may do/);
  });

  test('and a name that are wrong create nothing', async () => {
    const apiKeys = { create: () => Promise.reject(new Error('was called')) };
    for (const input of [{ roles: ['all'] }, { roles: ['read'], name: '' }, { roles: ['read'], name: 'a\nb' }]) {
      expect(await createKeyCommand({ apiKeys }, input)).toEqual({
        stdout: '',
        stderr: expect.stringMatching(/^[A-Z].*\.\n$/),
        exitCode: 2,
      });
    }
  });
});
