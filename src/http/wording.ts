/** An account goes by two names. Paths, fields and answers of a call all keep to the one it was called by. */
export interface Wording {
  readonly one: 'account' | 'tenant';
  readonly many: 'accounts' | 'tenants';
  /** The field and parameter that names one. */
  readonly idField: 'account_id' | 'tenant_id';
  /** The part of an operation's id. */
  readonly inOperation: 'Account' | 'Tenant';
}

/** Ours, and Courier's later one. */
export const WORDINGS: readonly Wording[] = [
  { one: 'account', many: 'accounts', idField: 'account_id', inOperation: 'Account' },
  { one: 'tenant', many: 'tenants', idField: 'tenant_id', inOperation: 'Tenant' },
];
