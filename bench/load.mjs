// The load generator: a process of its own, on one version of Node.js for all, so that what it costs is never part of
// what is measured. It is told what to send, one load at a time, and answers how many were answered.
import { randomInt } from 'node:crypto';
import autocannon from 'autocannon';

/** A message to one of the users, who have the numbers 0, step, 2 * step and so on. */
function message({ users, userStep = 1, messageIds = false }) {
  const user = randomInt(users / userStep) * userStep;
  const message = { user_id: `user-${user}`, account_id: `account-${user % 1_000}`, topic_id: `topic-${user % 20}` };
  if (messageIds) message.message_id = `m-${randomInt(2 ** 47).toString(36)}`;
  return message;
}

/** The same message, handed over. */
function send(load) {
  const { user_id, account_id, topic_id } = message(load);
  return {
    message: {
      to: { user_id, account_id },
      template: 'order-shipped',
      data: { order: randomInt(1_000_000) },
      preferences: { subscription_topic_id: topic_id },
    },
  };
}

function body(load) {
  if (load.sends) return JSON.stringify(send(load));
  if (load.batch === undefined) return JSON.stringify(message(load));
  return JSON.stringify({ messages: Array.from({ length: load.batch }, () => message(load)) });
}

process.on('message', async ({ url, headers, load, connections, seconds }) => {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    method: 'POST',
    headers,
    requests: [
      {
        setupRequest: (request) => ({
          ...request,
          body: body(load),
          ...(load.idempotencyKeys
            ? { headers: { ...headers, 'idempotency-key': randomInt(2 ** 47).toString(36) } }
            : {}),
        }),
      },
    ],
  });
  const { non2xx, errors, timeouts } = result;
  process.send({ answered: result['2xx'], failed: non2xx + errors + timeouts, seconds: result.duration });
});
process.on('disconnect', () => process.exit());
