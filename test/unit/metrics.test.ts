import { createMetrics } from '../../src/metrics/metrics';

/** The value of one series of an exposition. */
function valueIn(text: string, series: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test('what an alert is made of is there from the start, at 0', async () => {
  const text = await createMetrics({ processMetrics: false }).text();
  for (const decision of ['accepted', 'throttled', 'filtered']) {
    expect(valueIn(text, `sendgate_decisions_total{decision="${decision}"}`)).toBe(0);
  }
  expect(valueIn(text, 'sendgate_late_verdicts_total{counted="true"}')).toBe(0);
  expect(valueIn(text, 'sendgate_replans_total{reason="window"}')).toBe(0);
  expect(valueIn(text, 'sendgate_redis_call_duration_seconds_count')).toBe(0);
});

test('counters grow by one at a time, and asking twice does not count twice', async () => {
  const metrics = createMetrics({ processMetrics: false });
  const meter = metrics.route('post', '/check');
  for (const status of [200, 200, 503]) meter.finished(status, 0.002);
  metrics.degraded('deny', 'timeout');
  metrics.replanned('stale');
  metrics.tooLate(true);
  await metrics.text();
  const text = await metrics.text();
  expect(valueIn(text, 'sendgate_http_requests_total{route="/check",method="POST",status="200"}')).toBe(2);
  expect(valueIn(text, 'sendgate_http_requests_total{route="/check",method="POST",status="503"}')).toBe(1);
  expect(valueIn(text, 'sendgate_degraded_answers_total{policy="deny",reason="timeout"}')).toBe(1);
  expect(valueIn(text, 'sendgate_replans_total{reason="stale"}')).toBe(1);
  expect(valueIn(text, 'sendgate_late_verdicts_total{counted="true"}')).toBe(1);
});

test('buckets hold everything up to their bound, the bound included, and the last one all', async () => {
  const metrics = createMetrics({ processMetrics: false });
  for (const seconds of [0.0001, 0.00011, 1, 1.001]) metrics.called(seconds);
  const text = await metrics.text();
  const bucket = (le: string) => valueIn(text, `sendgate_redis_call_duration_seconds_bucket{le="${le}"}`);
  expect([bucket('0.0001'), bucket('0.00025'), bucket('0.5'), bucket('1'), bucket('+Inf')]).toEqual([1, 2, 2, 3, 4]);
  expect(valueIn(text, 'sendgate_redis_call_duration_seconds_count')).toBe(4);
  expect(valueIn(text, 'sendgate_redis_call_duration_seconds_sum')).toBeCloseTo(2.00121, 10);
});

test('the methods of one path share its durations', async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.route('get', '/limits').finished(200, 0.1);
  metrics.route('post', '/limits').finished(201, 0.1);
  const text = await metrics.text();
  expect(valueIn(text, 'sendgate_http_request_duration_seconds_count{route="/limits"}')).toBe(2);
});

test('a limit that is exceeded is counted by what it counts, in shadow too, and not by its name', async () => {
  const metrics = createMetrics({ processMetrics: false });
  const limit = (per: string[], mode: string, exceeded: boolean) => ({ per, period: 'day', mode, exceeded });
  metrics.decided({
    decision: 'throttled',
    limits: [limit(['user', 'topic'], 'enforce', true), limit([], 'enforce', false)],
  });
  metrics.decided({ decision: 'accepted', limits: [limit([], 'shadow', true)] });
  const text = await metrics.text();
  expect(valueIn(text, 'sendgate_limits_exceeded_total{per="user,topic",period="day",mode="enforce"}')).toBe(1);
  expect(valueIn(text, 'sendgate_limits_exceeded_total{per="",period="day",mode="shadow"}')).toBe(1);
  expect(valueIn(text, 'sendgate_limits_exceeded_total{per="",period="day",mode="enforce"}')).toBeUndefined();
});

test('what is read is read anew each time', async () => {
  const metrics = createMetrics({ processMetrics: false });
  let up = false;
  let configuration: { version: number; limits: number } | null = null;
  metrics.watch({ redisUp: () => up, configuration: () => configuration });
  const before = await metrics.text();
  expect([valueIn(before, 'sendgate_redis_up'), valueIn(before, 'sendgate_configuration_limits')]).toEqual([0, 0]);
  up = true;
  configuration = { version: 7, limits: 3 };
  const after = await metrics.text();
  expect(valueIn(after, 'sendgate_redis_up')).toBe(1);
  expect(valueIn(after, 'sendgate_configuration_limits')).toBe(3);
  expect(valueIn(after, 'sendgate_configuration_version')).toBe(7);
});

test("names follow Prometheus' rules, each with its help and type, and the process's own are there if wanted", async () => {
  const metrics = createMetrics({ processMetrics: true });
  metrics.watch({ redisUp: () => true, configuration: () => null });
  const text = await metrics.text();
  expect(text).toContain('process_cpu_seconds_total');
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    expect([name, name!.endsWith('_total')]).toEqual([name, type === 'counter']);
  }
  const types = [...text.matchAll(/^# TYPE (sendgate_\S+) (\S+)$/gm)].map(([, name, type]) => ({
    name: name!,
    type: type!,
  }));
  expect(types.length).toBeGreaterThan(8);
  for (const { name, type } of types) {
    expect(text).toMatch(new RegExp(`^# HELP ${name} .{10,}$`, 'm'));
    expect(name).toMatch(/^sendgate_[a-z_]+$/);
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
  }
});

test('two processes in one, such as in a test, do not share their counts', async () => {
  const [one, other] = [createMetrics({ processMetrics: true }), createMetrics({ processMetrics: true })];
  one.tooLate(false);
  expect(valueIn(await other.text(), 'sendgate_late_verdicts_total{counted="false"}')).toBe(0);
});
