/*
 * Calls as the two products' public documentation shows them:
 * https://segment.com/docs/connections/spec/ (identify, track, page, screen, group, alias) and
 * https://www.rudderstack.com/docs/destinations/webhooks/cloud-mode/ with https://www.rudderstack.com/docs/event-spec/.
 * Names and addresses are made up; the shape is theirs.
 */

/** An event of any shape. */
export type RecordedEvent = { type: string; messageId: string } & Record<string, unknown>;

const SEGMENT_COMMON = {
  anonymousId: '507f191e810c19729de860ea',
  channel: 'browser',
  context: {
    ip: '8.8.8.8',
    userAgent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5) AppleWebKit/537.36',
    library: { name: 'analytics.js', version: '2.11.1' },
    page: { path: '/academy/', referrer: '', search: '', title: 'Academy', url: 'https://example.com/academy/' },
  },
  integrations: { All: true, Mixpanel: false, Salesforce: false },
  originalTimestamp: '2015-02-23T22:28:55.111Z',
  receivedAt: '2015-02-23T22:28:55.387Z',
  sentAt: '2015-02-23T22:28:55.111Z',
  timestamp: '2015-02-23T22:28:55.111Z',
  version: 1.1,
};

/** What Segment sends to a webhook, by type of call. */
export const SEGMENT_EVENTS: Record<string, RecordedEvent> = {
  identify: {
    ...SEGMENT_COMMON,
    type: 'identify',
    messageId: 'ajs-next-1424730535111-022bb90c-bbac-11e4-8dfc-aa07a5b093db',
    userId: '97980cfea0067',
    traits: {
      name: 'Peter Gibbons',
      email: 'peter@example.com',
      plan: 'premium',
      logins: 5,
      address: { street: '6th St', city: 'San Francisco', state: 'CA', postalCode: '94103', country: 'USA' },
    },
  },
  track: {
    ...SEGMENT_COMMON,
    type: 'track',
    messageId: '022bb90c-bbac-11e4-8dfc-aa07a5b093db',
    userId: '97980cfea0067',
    event: 'Order Completed',
    properties: {
      checkout_id: 'fksdjfsdjfisjf9sdfjsd9f',
      order_id: '50314b8e9bcf000000000000',
      revenue: 25.5,
      currency: 'USD',
      products: [{ product_id: '507f1f77bcf86cd799439011', sku: '45790-32', quantity: 1, price: 19 }],
    },
  },
  page: {
    ...SEGMENT_COMMON,
    type: 'page',
    messageId: '5f58d1f7-cd05-4a4f-8f3e-6e0c1a2b3c4d',
    userId: '97980cfea0067',
    name: 'Home',
    category: null,
    properties: { title: 'Welcome', url: 'http://www.example.com', referrer: '' },
  },
  screen: {
    ...SEGMENT_COMMON,
    type: 'screen',
    messageId: '6a0c4e52-2d1f-4b6f-9d0e-7f8a9b0c1d2e',
    userId: '97980cfea0067',
    name: 'Feed',
    properties: { 'Feed Type': 'private' },
  },
  group: {
    ...SEGMENT_COMMON,
    type: 'group',
    messageId: '7b1d5f63-3e20-4c70-8e1f-8091a2b3c4d5',
    userId: '97980cfea0067',
    groupId: '0e8c78ea9d97a7b8185e8632',
    traits: {
      name: 'Initech',
      industry: 'Technology',
      employees: 329,
      plan: 'enterprise',
      'total billed': 830,
    },
  },
  alias: {
    ...SEGMENT_COMMON,
    type: 'alias',
    messageId: '8c2e6074-4f31-4d81-9f20-91a2b3c4d5e6',
    userId: '507f191e81',
    previousId: '39239-239239-239239-23923',
    traits: {},
  },
};

const RUDDERSTACK_COMMON = {
  anonymousId: '21b43de4-3b9b-423f-b51f-794eae31fc03',
  channel: 'web',
  integrations: { All: true },
  originalTimestamp: '2020-04-22T08:06:20.337Z',
  sentAt: '2020-04-22T08:06:20.337Z',
  receivedAt: '2020-04-22T13:36:20.517+05:30',
  request_ip: '[::1]:53708',
  rudderId: '4a0b4e0f-7d0c-4b8e-b6a5-0c1d2e3f4a5b',
  timestamp: '2020-04-22T13:36:20.516+05:30',
};
const RUDDERSTACK_CONTEXT = {
  app: { build: '1.0.0', name: 'RudderLabs JavaScript SDK', namespace: 'com.rudderlabs.javascript', version: '1.1.1' },
  traits: {
    name: 'User name',
    email: 'user@example.com',
    plan: 'Enterprise',
    company: { id: 'company-A' },
    createdAt: 'Thu Mar 24 2016 17:46:45 GMT+0000 (UTC)',
  },
  library: { name: 'RudderLabs JavaScript SDK', version: '1.1.1' },
  userAgent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36',
  locale: 'en-US',
  os: { name: '', version: '' },
  screen: { density: 1.600000023841858 },
  page: { path: '/tests/html/script-test.html', referrer: '', search: '', title: '', url: 'http://localhost:1111/' },
};

/** What RudderStack sends to a webhook, by type of call. The traits of an identify are in its context. */
export const RUDDERSTACK_EVENTS: Record<string, RecordedEvent> = {
  identify: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'identify',
    messageId: '508d5e8c-96e4-4301-bd46-1890dba5c866',
    userId: 'my-user-id',
  },
  track: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'track',
    messageId: '584fde02-901a-4964-a4a0-4078b999d5b2',
    userId: 'my-user-id',
    event: 'Product Added',
    properties: { name: 'Random Book', review_body: 'Sample Review', revenue: 50, currency: 'USD' },
  },
  page: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'page',
    messageId: '4a4f2c9a-3b7e-4d5a-9c1f-0e8d7c6b5a49',
    userId: 'my-user-id',
    name: 'Page View',
    properties: {
      path: '/test',
      referrer: 'Random',
      search: 'Testing Search',
      title: 'Test Page',
      url: 'http://a.test',
    },
  },
  screen: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'screen',
    messageId: '5b503dab-4c8f-4e6b-8d20-1f9e8d7c6b5a',
    userId: 'my-user-id',
    event: 'Home Screen',
    properties: { title: 'Welcome' },
  },
  group: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'group',
    messageId: '6c614ebc-5d90-4f7c-9e31-20af9e8d7c6b',
    userId: '',
    groupId: '17',
    traits: { name: 'Company', industry: 'Industry', employees: 123 },
  },
  alias: {
    ...RUDDERSTACK_COMMON,
    context: RUDDERSTACK_CONTEXT,
    type: 'alias',
    messageId: '7d725fcd-6ea1-408d-af42-31b0af9e8d7c',
    userId: '12345',
    previousId: 'batman',
  },
};
