import {
  createHashHistory,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { Broken, loaded } from './frame/broken';
import { Frame, NotFound } from './frame/frame';
import { Waiting } from './frame/trouble';

/** What an address says of a view: texts only, so that the id 007 stays what it is. */
type Search<Name extends string> = { [N in Name]?: string };

/** The views, each loaded when it is looked at first, or pointed at. */
const VIEWS = {
  overview: () => loaded(() => import('./overview/overview-view')),
  logs: () => loaded(() => import('./logs/logs-view')),
  limits: () => loaded(() => import('./limits/limits-view')),
  usage: () => loaded(() => import('./usage/usage-view')),
  members: () => loaded(() => import('./members/members-view')),
  alerts: () => loaded(() => import('./alerts/alerts-view')),
  audit: () => loaded(() => import('./audit/audit-view')),
  settings: () => loaded(() => import('./settings/settings-view')),
};

/** Takes from an address what a view knows. */
function only<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): Search<Name> => {
    const known: Search<Name> = {};
    for (const name of names) {
      const value = search[name];
      if (typeof value === 'string' && value !== '') known[name] = value;
    }
    return known;
  };
}

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/overview', replace: true });
  },
});
const overview = createRoute({
  getParentRoute: () => root,
  path: '/overview',
  validateSearch: only('range'),
  component: lazyRouteComponent(VIEWS.overview, 'OverviewView'),
});
const logs = createRoute({
  getParentRoute: () => root,
  path: '/logs',
  validateSearch: only('status', 'recipient', 'account', 'topic', 'after', 'before', 'id', 'message'),
  component: lazyRouteComponent(VIEWS.logs, 'LogsView'),
});
const limits = createRoute({
  getParentRoute: () => root,
  path: '/limits',
  // `edit` is the id of a limit that is looked at or edited. `add` begins a new one, `override` one over the limit with that
  // id. `find` is what the list is narrowed to.
  validateSearch: only('edit', 'add', 'override', 'find'),
  component: lazyRouteComponent(VIEWS.limits, 'LimitsView'),
});
const usage = createRoute({
  getParentRoute: () => root,
  path: '/usage',
  validateSearch: only('user', 'account', 'topic', 'channel'),
  component: lazyRouteComponent(VIEWS.usage, 'UsageView'),
});
const members = createRoute({
  getParentRoute: () => root,
  path: '/members',
  validateSearch: only('user', 'account'),
  component: lazyRouteComponent(VIEWS.members, 'MembersView'),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: '/alerts',
  component: lazyRouteComponent(VIEWS.alerts, 'AlertsView'),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  validateSearch: only('event'),
  component: lazyRouteComponent(VIEWS.audit, 'AuditView'),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(VIEWS.settings, 'SettingsView'),
});

const tree = root.addChildren([home, overview, logs, limits, usage, members, alerts, audit, settings]);

/**
 * A history in which also an address that somebody writes has its place: one further than the present. Without any it is
 * not known how to go back from it, when who has written something stays.
 */
function createHistory() {
  // It is told before the history is
  window.addEventListener('popstate', () => {
    if (window.history.state !== null) return;
    const { __TSR_index: index } = history.location.state;
    // The browser's own: that of the page tells the router that this is where one is
    History.prototype.replaceState.call(window.history, { __TSR_index: index + 1 }, '');
  });
  const history = createHashHistory();
  return history;
}

/** The views and their addresses. They are after the `#`, so that a proxy may put the console at any path. */
export function createConsoleRouter() {
  return createRouter({
    routeTree: tree,
    history: createHistory(),
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch(search) {
      const given = Object.entries(search as Record<string, string | undefined>).filter(([, value]) => value);
      const text = new URLSearchParams(given as [string, string][]).toString();
      return text === '' ? '' : `?${text}`;
    },
    defaultPendingComponent: () => (
      <div className="page">
        <Waiting />
      </div>
    ),
    defaultPendingMs: 300,
    defaultPreload: 'intent',
    defaultErrorComponent: ({ error, reset }) => <Broken error={error} onRetry={reset} />,
    scrollRestoration: false,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
