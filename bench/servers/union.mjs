// Five limits on a user as rate-limiter-flexible's documentation builds them: a RateLimiterUnion of RateLimiterRedis,
// in an Express app. (Its windows begin with a user's first message, and a message that one limit refuses has counted
// in the others: what it does is less than what Sendgate does.)
import express from 'express';
import { Redis } from 'ioredis';
import { RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible';

const DAY_SECONDS = 86_400;
const limits = {
  hour: 3_600,
  day: DAY_SECONDS,
  week: 7 * DAY_SECONDS,
  month: 30 * DAY_SECONDS,
  quarter: 91 * DAY_SECONDS,
};
const points = 1_000_000_000;

const storeClient = new Redis(process.env.REDIS_URL, { enableOfflineQueue: false });
const union = new RateLimiterUnion(
  ...Object.entries(limits).map(
    ([name, duration]) => new RateLimiterRedis({ storeClient, keyPrefix: `user-${name}`, points, duration }),
  ),
);

const app = express();
app.use(express.json());
app.post('/check', (request, response) => {
  const answer = (allowed, results) => {
    response.json({
      allowed,
      limits: Object.entries(results).map(([limit_id, { remainingPoints, msBeforeNext }]) => ({
        limit_id,
        max: points,
        remaining: remainingPoints,
        resets_at: new Date(Date.now() + msBeforeNext).toISOString(),
      })),
    });
  };
  union.consume(request.body.user_id).then(
    (results) => answer(true, results),
    (results) => answer(false, results),
  );
});
storeClient.once('ready', () => {
  const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
});
