import { startShared } from '../shared-redis';

export default () => startShared('standalone');
