import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRedisUrl } from '../../src/store/connection';

test.each([
  ['redis://localhost', { kind: 'standalone', options: { host: 'localhost', port: 6379 } }],
  ['redis://cache.internal:6380/3', { kind: 'standalone', options: { host: 'cache.internal', port: 6380, db: 3 } }],
  ['redis://[::1]:6379', { kind: 'standalone', options: { host: '::1', port: 6379 } }],
  [
    'redis://ann:p%40ss%3Aword@h/0',
    { kind: 'standalone', options: { username: 'ann', password: 'p@ss:word', host: 'h', port: 6379, db: 0 } },
  ],
  ['redis://:secret@h', { kind: 'standalone', options: { password: 'secret', host: 'h', port: 6379 } }],
  [
    'rediss://h?tls_servername=other',
    { kind: 'standalone', options: { host: 'h', port: 6379, tls: { servername: 'other' } } },
  ],
  ['unix:///run/redis.sock', { kind: 'standalone', options: { path: '/run/redis.sock' } }],
  ['unix:///run/redis.sock?db=2', { kind: 'standalone', options: { path: '/run/redis.sock', db: 2 } }],
  [
    'redis+cluster://a:7000,b:7001,c',
    {
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 7001 },
        { host: 'c', port: 6379 },
      ],
      options: {},
    },
  ],
  [
    'redis+sentinel://:secret@a,b:26380/mymaster/1?sentinel_password=other',
    {
      kind: 'sentinel',
      options: {
        password: 'secret',
        db: 1,
        sentinels: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 26380 },
        ],
        name: 'mymaster',
        sentinelPassword: 'other',
      },
    },
  ],
  [
    'rediss+sentinel://a/mymaster',
    {
      kind: 'sentinel',
      options: {
        tls: {},
        sentinels: [{ host: 'a', port: 26379 }],
        name: 'mymaster',
        sentinelTLS: {},
        enableTLSForSentinelMode: true,
      },
    },
  ],
])('%s is understood', (url, target) => {
  expect(parseRedisUrl(url)).toEqual(target);
});

test.each([
  ['localhost:6379', 'redis://'],
  ['http://localhost', 'redis://'],
  ['redis://', 'hosts as host:port'],
  ['redis://a,b', 'one host'],
  ['redis://h:99999', 'hosts as host:port'],
  ['redis://h/mydb', 'by its number'],
  ['redis://h?timeout=3', 'timeout'],
  ['redis://u:%zz@h', 'percent-encoded'],
  ['redis://h?tls_ca=/ca.pem', 'nothing with redis://: tls_ca'],
  ['rediss://h?sentinel_password=x', 'nothing with rediss://: sentinel_password'],
  ['redis+cluster://a?db=1', 'nothing with redis+cluster://: db'],
  ['rediss://h?tls_ca=/nowhere/ca.pem', 'a tls_ca that cannot be read: ENOENT'],
  ['redis+sentinel://a', 'name the master'],
  ['redis+cluster://a/1', 'not name a database'],
  ['unix://host/path', 'unix:///path'],
])('%s is refused, saying %s', (url, words) => {
  expect(() => parseRedisUrl(url)).toThrow(words);
});

test('no refusal repeats the password', () => {
  for (const url of ['redis://u:hunter2@', 'ftp://u:hunter2@h', 'redis://u:hunter2@h/x', 'redis://u:hunter2%zz@h']) {
    expect(() => parseRedisUrl(url)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
    );
  }
});

test('certificates that are none are refused, each by the name of its parameter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sendgate-url-'));
  try {
    const path = join(folder, 'none.pem');
    writeFileSync(path, 'none');
    expect(() => parseRedisUrl(`rediss://h?tls_ca=${path}`)).toThrow('a tls_ca that is not a certificate in PEM');
    expect(() => parseRedisUrl(`rediss://h?tls_cert=${path}`)).toThrow('tls_cert and tls_key together');
    expect(() => parseRedisUrl(`rediss://h?tls_key=${path}`)).toThrow('tls_cert and tls_key together');
    expect(() => parseRedisUrl(`rediss://h?tls_cert=${path}&tls_key=${path}`)).toThrow('a tls_cert and a tls_key that');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
