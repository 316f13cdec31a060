import { decide } from '../limits/decision';
import type { Plan, PlannedLimit } from '../limits/plan';
import type { Keys } from '../store/keys';
import type { CheckOutcome, CheckRequest } from './check';
import type { LocalShare } from './local-share';

/** What a message is answered with while Redis does not: the strictest policy of the limits that apply, or `pass`. */
export type DegradedPolicy = 'deny' | 'local' | 'allow' | 'pass';

/** Answers one check without Redis, by each limit's `on_redis_down`. */
export type AnswerDegraded = (
  request: CheckRequest,
  plan: Plan,
  nowMs: number,
) => Promise<{ policy: DegradedPolicy; outcome: CheckOutcome }>;

/** The policy for a message: `pass` when no limit could throttle it. */
export function degradedPolicy(plan: Plan): DegradedPolicy {
  // Whether the user is in the account cannot be known.
  if (plan.membership) return 'deny';
  if (plan.exempt) return 'pass';
  const policies = throttlingLimits(plan).map(({ limit }) => limit.on_redis_down);
  if (policies.length === 0) return 'pass';
  return policies.includes('deny') ? 'deny' : policies.includes('local') ? 'local' : 'allow';
}

/** The limits that can throttle: enforced, and not lifted. */
function throttlingLimits(plan: Plan): PlannedLimit[] {
  return plan.shape.limits.filter(({ limit }) => limit.mode === 'enforce' && limit.max !== null);
}

/**
 * Makes the answerer of one replica.
 * @param replicas among how many processes a `local` limit's max is divided
 */
export function createDegradedAnswers(deps: { keys: Keys; localShare: LocalShare; replicas: number }): AnswerDegraded {
  const { keys, localShare, replicas } = deps;

  return async (request, plan, nowMs) => {
    // A dry run asks what stands in Redis: there is nothing to say without it.
    const policy = request.dry ? 'deny' : degradedPolicy(plan);
    if (policy === 'deny') return { policy, outcome: { kind: 'unavailable' } };

    const common = { messageId: request.messageId, replayed: false, degraded: true, cost: request.cost };
    if (policy !== 'local') {
      return {
        policy,
        outcome: { kind: 'decided', decision: decide({ ...common, kind: 'accepted', counted: false, limits: [] }) },
      };
    }

    const local = throttlingLimits(plan).filter(({ limit }) => limit.on_redis_down === 'local');
    const limits = local.map(({ limit, view }) => ({ ...view, max: Math.floor(limit.max! / replicas) }));
    const { allowed, used } = await localShare.take(
      limits.map(({ per, period, startMs, endMs, max }) => ({
        key: keys.counterName(per, period, { startMs, endMs }, plan.message),
        share: max,
        endMs,
      })),
      request.cost,
      nowMs,
    );
    const decision = decide({
      ...common,
      kind: allowed ? 'accepted' : 'throttled',
      counted: allowed,
      limits: limits.map((limit, index) => ({ limit, used: used[index]! })),
    });
    return { policy, outcome: { kind: 'decided', decision } };
  };
}
