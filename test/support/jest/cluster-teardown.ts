import { stopShared } from '../shared-redis';

export default () => stopShared('cluster');
