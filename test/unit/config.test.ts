import {
  type Config,
  type ConfigRead,
  configurationDocument,
  configuredProviders,
  readConfig,
  routingOf,
} from '../../src/config';

function read(env: Record<string, string>): ConfigRead {
  const reading = readConfig(env);
  if ('errors' in reading) throw new Error(reading.errors.join('\n'));
  return reading;
}

function errorsOf(env: Record<string, string>): string[] {
  const reading = readConfig(env);
  return 'errors' in reading ? reading.errors : [];
}

describe('the configuration', () => {
  test('of an empty environment is the documented defaults', () => {
    expect(read({})).toEqual({
      config: {
        host: '127.0.0.1',
        port: 8080,
        workerPort: null,
        redis: null,
        dataDir: '.data',
        workspace: 'default',
        apiKey: null,
        limitsFile: null,
        checkTimeoutMs: 250,
        replicas: 1,
        idempotencyTtlSeconds: 86_400,
        provider: 'log',
        channelProviders: null,
        concurrency: 16,
        providerRates: null,
        tries: 8,
        retryFirstMs: 1_000,
        retryMaxMs: 300_000,
        refundFailed: true,
        deferMaxAgeSeconds: 7 * 86_400,
        queueMaxDepth: 10_000,
        queueKeepJobs: 100,
        webhookUrl: null,
        webhookSecret: null,
        webhookTimeoutMs: 10_000,
        allowPrivateTargets: false,
        vonageApiKey: null,
        vonageApiSecret: null,
        vonageFrom: null,
        vonageUrl: new URL('https://rest.nexmo.com'),
        vonageTimeoutMs: 10_000,
        vonageRate: 30,
        vonagePauseSeconds: 60,
        vonageSignatureSecret: null,
        vonageSignatureMethod: 'md5hash',
        vonageSignatureAgeSeconds: 300,
        segmentSecret: null,
        rudderstackHeader: null,
        smtpUrl: null,
        alertMailFrom: null,
        alertMailTo: null,
        logLevel: 'info',
        logMaxMessages: 1_000_000,
        logMaxAgeSeconds: 30 * 86_400,
        auditMaxAgeSeconds: 365 * 86_400,
        shutdownTimeoutMs: 10_000,
      } satisfies Config,
      warnings: [],
    });
  });

  test('takes an empty variable for one that is not set', () => {
    expect(read({ PORT: '', REDIS_URL: '', SENDGATE_API_KEY: '', SENDGATE_LIMITS_FILE: '' })).toEqual(read({}));
  });

  test.each([
    ['86400', 86_400],
    ['90s', 90],
    ['90m', 5_400],
    ['24h', 86_400],
    ['30d', 2_592_000],
    ['2w', 1_209_600],
  ])('reads the duration %s as %d seconds', (text, seconds) => {
    expect(read({ SENDGATE_IDEMPOTENCY_TTL: text }).config.idempotencyTtlSeconds).toBe(seconds);
  });

  test.each([
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', ' 80'],
    ['HOST', '127.0.0.1 80'],
    ['HOST', '[::1]'],
    ['SENDGATE_WORKER_PORT', '9e3'],
    ['SENDGATE_WORKSPACE', 'a}b'],
    ['SENDGATE_WORKSPACE', 'a'.repeat(65)],
    ['SENDGATE_CHECK_TIMEOUT_MS', '9'],
    ['SENDGATE_REPLICAS', '0'],
    ['SENDGATE_IDEMPOTENCY_TTL', '0'],
    ['SENDGATE_IDEMPOTENCY_TTL', '24 h'],
    ['SENDGATE_IDEMPOTENCY_TTL', '1.5h'],
    ['SENDGATE_IDEMPOTENCY_TTL', '91d'],
    ['SENDGATE_LOG_LEVEL', 'verbose'],
    ['SENDGATE_LOG_MAX_ENTRIES', '0'],
    ['SENDGATE_LOG_MAX_AGE', '59s'],
    ['SENDGATE_SHUTDOWN_TIMEOUT_MS', '0'],
  ])('refuses %s=%s and says both', (name, value) => {
    expect(errorsOf({ [name]: value })).toEqual([expect.stringContaining(`but is ${JSON.stringify(value)}`)]);
    expect(errorsOf({ [name]: value })[0]).toMatch(new RegExp(`^${name} must be `));
  });

  test.each([
    ['SENDGATE_SMTP_URL', 'mail.example.com'],
    ['SENDGATE_SMTP_URL', 'http://mail.example.com'],
    ['SENDGATE_SMTP_URL', 'smtp://'],
    ['SENDGATE_SMTP_URL', 'smtp://mail.example.com?tls.rejectUnauthorized=false'],
    ['SENDGATE_ALERT_MAIL_FROM', 'sendgate'],
    ['SENDGATE_ALERT_MAIL_FROM', 'Sendgate <sendgate@example.com>'],
    ['SENDGATE_ALERT_MAIL_FROM', 'a@example.com\r\nBcc: b@example.com'],
    ['SENDGATE_ALERT_MAIL_TO', 'ops@example.com,'],
    ['SENDGATE_ALERT_MAIL_TO', 'ops@example.com;oncall@example.com'],
  ])('refuses %s=%j, by its name', (name, value) => {
    const mail = {
      SENDGATE_SMTP_URL: 'smtp://mail.example.com',
      SENDGATE_ALERT_MAIL_FROM: 'a@example.com',
      SENDGATE_ALERT_MAIL_TO: 'b@example.com',
    };
    expect(errorsOf({ ...mail, [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} must be `))]);
  });

  test('reads whom to mail to, and refuses a part of what it takes to mail', () => {
    const mail = {
      SENDGATE_SMTP_URL: 'smtps://ann:hunter2@mail.example.com:465',
      SENDGATE_ALERT_MAIL_FROM: 'sendgate@example.com',
      SENDGATE_ALERT_MAIL_TO: 'ops@example.com, b@example.com,ops@example.com',
    };
    expect(read(mail).config).toMatchObject({
      smtpUrl: mail.SENDGATE_SMTP_URL,
      alertMailTo: ['ops@example.com', 'b@example.com'],
    });
    for (const left of Object.keys(mail)) {
      const errors = errorsOf({ ...mail, [left]: undefined });
      expect(errors).toEqual([expect.stringContaining(`so ${left} must be set`)]);
      expect(errors[0]).not.toContain('hunter2');
    }
  });

  test('lists everything that is wrong at once, each by its variable', () => {
    const errors = errorsOf({ PORT: 'x', REDIS_URL: 'nowhere', SENDGATE_REPLICAS: 'many', SENDGATE_WORKSPACE: '{' });
    expect(errors.map((line) => line.split(' ')[0])).toEqual([
      'PORT',
      'REDIS_URL',
      'SENDGATE_WORKSPACE',
      'SENDGATE_REPLICAS',
    ]);
  });

  test('never repeats a secret in an error or a warning', () => {
    const errors = errorsOf({
      REDIS_URL: 'redis://ann:hunter2@one,two',
      SENDGATE_API_KEY: 'hunter2 with spaces',
      SENDGATE_RUDDERSTACK_HEADER: 'hunter2',
    });
    expect(errors).toHaveLength(3);
    expect(errors.join()).not.toContain('hunter2');
    const { warnings } = read({ SENDGATE_API_KEY: 'hunter2' });
    expect(warnings).toEqual([expect.stringMatching(/^SENDGATE_API_KEY has fewer than 16 characters/)]);
    expect(warnings.join()).not.toContain('hunter2');
  });

  describe('of Vonage', () => {
    const account = {
      SENDGATE_VONAGE_API_KEY: 'abcd1234',
      SENDGATE_VONAGE_API_SECRET: 'secret',
      SENDGATE_VONAGE_FROM: 'Acme',
    };

    test('makes it the provider of SMS, unless they have another', () => {
      const routing = (more: Record<string, string> = {}) => routingOf(read({ ...account, ...more }).config);
      expect(routing()).toEqual({ byChannel: { sms: 'vonage' }, fallback: 'log' });
      expect(routing({ SENDGATE_CHANNEL_PROVIDERS: 'sms=log,email=vonage' })).toEqual({
        byChannel: { sms: 'log', email: 'vonage' },
        fallback: 'log',
      });
      expect(routing({ SENDGATE_PROVIDER: 'vonage' }).fallback).toBe('vonage');
      expect(routingOf(read({}).config)).toEqual({ byChannel: {}, fallback: 'log' });
      expect(configuredProviders(read(account).config)).toEqual(['log', 'vonage']);
    });

    test('is whole or not there', () => {
      expect(errorsOf({ SENDGATE_PROVIDER: 'vonage' })).toEqual([
        'SENDGATE_PROVIDER uses vonage, so SENDGATE_VONAGE_API_KEY and SENDGATE_VONAGE_API_SECRET and SENDGATE_VONAGE_FROM must be set',
      ]);
      expect(errorsOf({ ...account, SENDGATE_VONAGE_FROM: '' })).toEqual([
        'SENDGATE_VONAGE_FROM must be set, as other settings of Vonage are',
      ]);
      expect(errorsOf({ SENDGATE_VONAGE_SIGNATURE_SECRET: 'x' })).toEqual([
        'SENDGATE_VONAGE_API_KEY and SENDGATE_VONAGE_API_SECRET and SENDGATE_VONAGE_FROM must be set, as other settings of Vonage are',
      ]);
      expect(errorsOf({ SENDGATE_CHANNEL_PROVIDERS: 'sms=vonage' })).toHaveLength(1);
      expect(errorsOf({ ...account, SENDGATE_PROVIDER_RATES: 'vonage=5' })).toEqual([
        'SENDGATE_PROVIDER_RATES must not name vonage: its rate is SENDGATE_VONAGE_RATE',
      ]);
    });

    test.each([
      ['SENDGATE_VONAGE_FROM', '+447700900000'],
      ['SENDGATE_VONAGE_FROM', '62538'],
      ['SENDGATE_VONAGE_FROM', 'Acme & Co'],
      ['SENDGATE_VONAGE_RATE', '0.5'],
      ['SENDGATE_VONAGE_RATE', '1000'],
      ['SENDGATE_VONAGE_PAUSE', '1'],
      ['SENDGATE_VONAGE_SIGNATURE_AGE', '24h'],
    ])('takes %s=%s', (name, value) => {
      expect(errorsOf({ ...account, [name]: value })).toEqual([]);
    });

    test.each([
      ['SENDGATE_VONAGE_FROM', 'more than eleven'],
      ['SENDGATE_VONAGE_FROM', '12'],
      ['SENDGATE_VONAGE_FROM', '1234567890123456'],
      ['SENDGATE_VONAGE_FROM', 'Grüße'],
      ['SENDGATE_VONAGE_URL', 'ftp://rest.nexmo.com'],
      ['SENDGATE_VONAGE_RATE', '-1'],
      ['SENDGATE_VONAGE_RATE', 'fast'],
      ['SENDGATE_VONAGE_PAUSE', '0'],
      ['SENDGATE_VONAGE_PAUSE', '2d'],
      ['SENDGATE_VONAGE_TIMEOUT_MS', '9'],
      ['SENDGATE_VONAGE_SIGNATURE_METHOD', 'MD5'],
      ['SENDGATE_VONAGE_SIGNATURE_AGE', '0'],
    ])('refuses %s=%s and says both', (name, value) => {
      expect(errorsOf({ ...account, [name]: value })).toEqual([
        expect.stringMatching(new RegExp(`^${name} must be .*, but is `)),
      ]);
    });

    test('without a secret for receipts is warned of', () => {
      expect(read(account).warnings).toEqual([
        'SENDGATE_VONAGE_SIGNATURE_SECRET is not set: delivery receipts are believed whoever sends them',
      ]);
      expect(read({ ...account, SENDGATE_VONAGE_SIGNATURE_SECRET: 'x' }).warnings).toEqual([]);
    });
  });

  test('warns of a variable it does not know, with the one that was meant, and goes on', () => {
    expect(read({ SENDGATE_REPLICA: '3', SENDGATE_SERVICE_HOST: '10.0.0.1', OTHER: 'x' }).warnings).toEqual([
      'SENDGATE_REPLICA is not a setting of Sendgate and does nothing; did you mean SENDGATE_REPLICAS?',
      'SENDGATE_SERVICE_HOST is not a setting of Sendgate and does nothing',
    ]);
  });

  test.each([
    ['X-Proof: long secret', { name: 'X-Proof', value: 'long secret' }],
    ['X-Proof:a:b\t', { name: 'X-Proof', value: 'a:b' }],
  ])('reads the header %j of RudderStack', (text, header) => {
    expect(read({ SENDGATE_RUDDERSTACK_HEADER: text }).config.rudderstackHeader).toEqual(header);
  });

  test.each(['X-Proof', 'X-Proof:', 'X Proof: a', ': a', 'X-Proof: é', 'X-Proof: a\nb', 'Authorization: Bearer a'])(
    'refuses %j for the header of RudderStack',
    (text) => {
      expect(errorsOf({ SENDGATE_RUDDERSTACK_HEADER: text })).toEqual([
        expect.stringMatching(/^SENDGATE_RUDDERSTACK_HEADER must (?:not )?be [^,]*/),
      ]);
    },
  );

  test('reads a Redis by URL, with what it means', () => {
    expect(read({ REDIS_URL: 'redis://:pw@cache:7000/2' }).config.redis).toEqual({
      url: 'redis://:pw@cache:7000/2',
      target: { kind: 'standalone', options: { host: 'cache', port: 7000, db: 2, password: 'pw' } },
    });
  });
});

test('the documentation of the configuration names every variable, with its default and unit', () => {
  const document = configurationDocument();
  expect(document).toContain('| `PORT` | port | `8080` |');
  expect(document).toContain('| `SENDGATE_CHECK_TIMEOUT_MS` | whole number, in milliseconds | `250` |');
  expect(document).toContain('| `REDIS_URL` | URL | none |');
});
