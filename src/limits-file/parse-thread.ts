// The entry of a thread: reads the file that it was given, and answers with what it says or what is wrong with it.
import { parentPort, workerData } from 'node:worker_threads';
import { parseLimitsFile } from './parse';

parentPort!.postMessage(parseLimitsFile(workerData));
