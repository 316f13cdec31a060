import type { Redis } from 'ioredis';
import type { Calendar, CalendarRules } from '../limits/calendar';
import type { Limit } from '../limits/limit';
import { createLimitSet, type LimitSet } from '../limits/limit-set';
import { type Configuration, createPlanner, type Planner } from '../limits/plan';
import { DEFAULT_SETTINGS, type Settings } from '../limits/settings';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from './actor';
import type { RedisClient } from './connection';
import type { Keys } from './keys';
import { runScript, type Scripts } from './scripts';

/** The id of the settings among the limits: no limit can have it. */
export const SETTINGS_ID = '@settings';

/** One item to write: a limit, or the settings under SETTINGS_ID; null removes. */
export interface ConfigurationWrite {
  id: string;
  value: Limit | Settings | null;
}

/** One event for the audit trail: what something was before and after; undefined for not there. */
export interface AuditEvent {
  type: string;
  target: string;
  before: unknown;
  after: unknown;
}

/** A change worked out from one version of the configuration. */
export interface ConfigurationChange {
  writes: ConfigurationWrite[];
  events: AuditEvent[];
}

/** What a reply of take.lua or config_read.lua says has changed: see `config_changes` in lua/lib/config.lua. */
export interface ConfigurationDelta {
  version: number;
  /** Whether to begin again from nothing: removals since our version have been forgotten. */
  reload: boolean;
  /** Whether there is more to read after `version`. */
  more: boolean;
  /** Each changed item's id and JSON; null when it was removed. */
  items: { id: string; json: string | null }[];
}

/** The limits and settings of the workspace, kept in step with Redis. */
export interface ConfigurationStore {
  /** The planner of the newest configuration known here, or null until the first load is done. */
  planner(): Planner | null;
  /** Takes over what a decision's reply says has changed since `sinceVersion`. */
  apply(sinceVersion: number, delta: ConfigurationDelta): Promise<void>;
  /** Reads on until it is up to date. Calls at the same time share one reading. */
  refresh(): Promise<void>;
  /**
   * Works a change out from the present configuration and writes it, all or none, unless `work` refuses: then nothing
   * changes and the refusal is handed back. `work` is called again when somebody else was faster.
   * @throws whatever Redis fails with; the change may then have been made or not.
   */
  change<R>(
    actor: Actor,
    source: Source,
    work: (configuration: Configuration) => ConfigurationChange | { refused: R },
  ): Promise<{ done: true } | { refused: R }>;
}

/** How many items one reading brings at most. */
const PAGE_ITEMS = 1_000;
/** How many removals are remembered for processes that were away while they happened. */
const REMOVED_MAX = 10_000;

/** Decodes {version, reload, more, id, json, ...}. */
export function decodeDelta(reply: unknown[]): ConfigurationDelta {
  const [version, reload, more, ...rest] = reply as [number, number, number, ...string[]];
  const items: ConfigurationDelta['items'] = [];
  for (let index = 0; index < rest.length; index += 2) {
    items.push({ id: rest[index]!, json: rest[index + 1] || null });
  }
  return { version, reload: reload === 1, more: more === 1, items };
}

/** Keeps the configuration of a workspace. Nothing is read before `refresh` is called. */
export function createConfigurationStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  calendarFor: (rules: CalendarRules) => Calendar;
}): ConfigurationStore {
  const { redis, scripts, keys, calendarFor } = deps;
  let version = 0;
  let limits: LimitSet = createLimitSet();
  let settings: Settings = DEFAULT_SETTINGS;
  let planner: Planner | null = null;
  let reading: Promise<void> | null = null;
  /**
   * Whether the database may be another than the one that was read: one restored from a backup, say, in which what we
   * know never happened. Only a connection that was lost can come back to such a one.
   */
  let doubtful = false;
  /** Changes made here wait for each other rather than race. */
  let changing: Promise<unknown> = Promise.resolve();

  function takeOver(delta: ConfigurationDelta): void {
    if (delta.reload) {
      version = 0;
      limits = createLimitSet();
      settings = DEFAULT_SETTINGS;
      return;
    }
    for (const { id, json } of delta.items) {
      if (id === SETTINGS_ID) {
        settings = json === null ? DEFAULT_SETTINGS : { ...DEFAULT_SETTINGS, ...JSON.parse(json) };
      } else if (json === null) limits.remove(id);
      else limits.put(limitOf(json));
    }
    version = delta.version;
    // What it has worked out is kept where nothing has changed.
    if (delta.items.length === 0 && planner?.configuration.version === version) return;
    // Only a complete configuration is ever planned with. Between two pages the old planner stays: what it plans is
    // refused by the script as stale.
    if (!delta.more) planner = createPlanner({ version, limits, settings }, calendarFor);
  }

  const doubt = () => {
    doubtful = version > 0;
  };
  redis.on('ready', doubt);
  // The nodes of a Cluster lose their connections each by itself.
  redis.on('+node', (node: Redis) => node.on('ready', doubt));

  async function readOn(): Promise<void> {
    for (;;) {
      const reply = (await runScript(
        redis,
        scripts.config_read,
        [keys.config, keys.configItems, keys.configChanges],
        [version, PAGE_ITEMS],
      )) as unknown[];
      const delta = decodeDelta(reply.slice(1));
      // At the same version it is the same configuration: versions are never given out twice.
      if (doubtful && delta.version !== version) delta.reload = true;
      doubtful = false;
      takeOver(delta);
      if (!delta.more && !delta.reload) return;
    }
  }

  function refresh(): Promise<void> {
    reading ??= readOn().finally(() => {
      reading = null;
    });
    return reading;
  }

  async function changeNow<R>(
    actor: Actor,
    source: Source,
    work: (configuration: Configuration) => ConfigurationChange | { refused: R },
  ): Promise<{ done: true } | { refused: R }> {
    for (;;) {
      await refresh();
      const worked = work({ version, limits, settings });
      if ('refused' in worked) return worked;
      if (worked.writes.length === 0) return { done: true };
      const [done] = (await runScript(
        redis,
        scripts.config_write,
        [keys.config, keys.configItems, keys.configChanges, keys.configRemoved, keys.audit],
        [
          version,
          JSON.stringify(worked.writes.map(({ id, value }) => [id, value === null ? '' : JSON.stringify(value)])),
          JSON.stringify(worked.events.map(encodeEvent)),
          JSON.stringify(actor),
          source,
          AUDIT_MAX_EVENTS,
          REMOVED_MAX,
        ],
      )) as [number, number];
      if (done === 1) {
        await refresh();
        return { done: true };
      }
    }
  }

  return {
    planner: () => planner,
    refresh,
    async apply(sinceVersion, delta) {
      if (reading !== null) return reading;
      // Somebody else's reply has told us since.
      if (sinceVersion !== version) return;
      if (doubtful || delta.reload || delta.more) return refresh();
      takeOver(delta);
    },
    change(actor, source, work) {
      const result = changing.then(() => changeNow(actor, source, work));
      changing = result.catch(() => undefined);
      return result;
    },
  };
}

/** A limit as it is kept. One that an earlier version wrote lacks what came later. */
function limitOf(json: string): Limit {
  const limit = JSON.parse(json) as Limit;
  limit.alert_thresholds ??= null;
  return limit;
}

/** An event as the scripts take it: texts, '' for what was not there. */
export function encodeEvent({ type, target, before, after }: AuditEvent): [string, string, string, string] {
  const text = (value: unknown) => (value === undefined || value === null ? '' : JSON.stringify(value));
  return [type, target, text(before), text(after)];
}
