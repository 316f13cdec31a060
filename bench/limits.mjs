const max = 1_000_000_000;

/** Five limits on a user: what the union can do as well, whose limiters all count the same key. */
export const FIVE_OF_A_USER = ['hour', 'day', 'week', 'month', 'billing_period'].map((period) => ({
  id: `user-${period}`,
  per: ['user'],
  period,
  max,
}));

/** Five limits that count five different things. */
export const FIVE_SCOPES = [
  { id: 'all', per: [], period: 'hour', max },
  { id: 'account', per: ['account'], period: 'month', max },
  { id: 'user', per: ['user'], period: 'day', max },
  { id: 'user-topic', per: ['user', 'topic'], period: 'day', max },
  { id: 'account-topic', per: ['account', 'topic'], period: 'week', max },
];
