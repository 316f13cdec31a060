import { startShared } from '../shared-redis';

export default () => startShared('cluster');
