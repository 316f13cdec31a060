import type { Alerts } from '../alerts/alerts';
import type { Gate } from '../gate/gate';
import type { AuditTrail } from '../log/audit';
import type { WhatIfs } from '../log/what-if';
import type { AccountSettings } from '../membership/account-settings';
import type { Accounts } from '../membership/accounts';
import type { Members } from '../membership/members';
import type { Profiles } from '../membership/profiles';
import type { Metrics } from '../metrics/metrics';
import type { AcceptSend } from '../sends/accept';
import type { Depth } from '../sends/queue';
import type { ConfigurationStore } from '../store/configuration';
import type { TrafficStore } from '../traffic/store';
import type { Route } from './contract';
import { accountRoutes } from './routes/accounts';
import { alertRoutes } from './routes/alerts';
import { auditEventRoutes } from './routes/audit-events';
import { checkRoutes } from './routes/check';
import { healthRoutes, type Readiness } from './routes/health';
import { type InboundServices, inboundRoutes } from './routes/inbound';
import { limitRoutes } from './routes/limits';
import { memberRoutes } from './routes/members';
import { type MessageServices, messageRoutes } from './routes/messages';
import { openApiRoute } from './routes/openapi';
import { overviewRoutes } from './routes/overview';
import { profileRoutes } from './routes/profiles';
import { receiptRoutes, type VonageReceipts } from './routes/receipts';
import { type SendConfiguration, sendRoutes } from './routes/send';
import { sessionRoutes } from './routes/session';
import { settingsRoutes } from './routes/settings';
import { simulationRoutes } from './routes/simulate';
import { usageRoutes } from './routes/usage';

/** What the routes stand on. Each part is made at the composition root. */
export interface Services extends MessageServices {
  /** The version of the package. */
  version: string;
  workspace: string;
  gate: Gate;
  configuration: ConfigurationStore;
  members: Members;
  accounts: Accounts;
  whatIfs: WhatIfs;
  accountSettings: AccountSettings;
  profiles: Profiles;
  acceptSend: AcceptSend;
  sends: SendConfiguration;
  /** Null where Vonage is not configured. */
  vonageReceipts: VonageReceipts | null;
  inbound: InboundServices['inbound'];
  auditTrail: AuditTrail;
  traffic: Pick<TrafficStore, 'read'>;
  alerts: Alerts;
  metrics: Metrics;
  readiness: () => Readiness;
  /** What waits for the providers; null when that is not known. */
  depths: () => readonly Depth[] | null;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  /** Makes the id of a limit that its caller has not named. */
  newLimitId: () => string;
}

/**
 * Every route of the API, with its services. Making routes must not use the services, only keep them: the OpenAPI
 * document is made from routes whose services do nothing.
 */
export function allRoutes(services: Services): Route[] {
  const routes = [
    ...checkRoutes(services),
    ...sendRoutes(services),
    ...receiptRoutes(services),
    ...usageRoutes(services),
    ...simulationRoutes(services),
    ...limitRoutes(services),
    ...settingsRoutes(services),
    ...memberRoutes(services),
    ...accountRoutes(services),
    ...profileRoutes(services),
    ...inboundRoutes(services),
    ...messageRoutes(services),
    ...overviewRoutes(services),
    ...alertRoutes(services),
    ...auditEventRoutes(services),
    ...sessionRoutes(services),
    ...healthRoutes(services),
  ];
  return [...routes, openApiRoute(routes, services)];
}
