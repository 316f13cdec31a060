import { randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a private Redis lives. All paths are absolute and without symbolic links. */
export interface DataFolder {
  /** What Redis writes. Only this user can look into it. */
  data: string;
  /** The socket that Redis listens on. */
  redisSocket: string;
  /** The socket by which the process that holds the folder shows that it does. */
  holderSocket: string;
}

/** The folder cannot be used; the message is for the operator. */
export class DataFolderError extends Error {}

/**
 * The most bytes in a socket's path: systems have room for 104 (macOS) or 108 (Linux), the last of them a zero, and the
 * temporary name of the holder's socket is the longest.
 */
const SOCKET_PATH_MAX_BYTES = 100;
const LONGEST_SOCKET_NAME = 'holder.sock.0123456789ab';
/** In a data folder whose path is too long for sockets: a link to a short one, in the system's temporary folder. */
const SOCKETS_LINK = 'sockets';

/** Makes the folder if it is not there, and says where everything in it is. @throws DataFolderError */
export function openDataFolder(path: string): DataFolder {
  let data: string;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    data = realpathSync(path);
  } catch (error) {
    throw new DataFolderError(`SENDGATE_DATA_DIR: ${(error as Error).message}`);
  }
  return at(data, fitsSockets(data) ? data : shortFolder(data));
}

/** Where everything in a folder is that another process has made, or null when it has not. Changes nothing. */
export function findDataFolder(path: string): DataFolder | null {
  try {
    const data = realpathSync(path);
    return at(data, fitsSockets(data) ? data : readlinkSync(join(data, SOCKETS_LINK)));
  } catch {
    return null; // Whoever made one would have left all of it.
  }
}

function at(data: string, sockets: string): DataFolder {
  return { data, redisSocket: join(sockets, 'redis.sock'), holderSocket: join(sockets, 'holder.sock') };
}

function fitsSockets(folder: string): boolean {
  return Buffer.byteLength(join(folder, LONGEST_SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES;
}

/** The short folder that a data folder links to, made again when the system has cleaned it up. */
function shortFolder(data: string): string {
  const link = join(data, SOCKETS_LINK);
  try {
    const folder = readlinkSync(link);
    if (isOurs(folder)) return folder;
    rmSync(link);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const made = mkdtempSync(join(tmpdir(), 'sendgate-'));
  try {
    symlinkSync(made, link);
    return made;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    rmSync(made, { recursive: true });
    return readlinkSync(link); // Another process was faster.
  }
}

/** Others can write to the temporary folder: what has the right name there may be theirs. */
function isOurs(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/** The folder, held by this process alone. */
export interface HeldFolder {
  release(): void;
}

/** How long a process that holds the folder may take to say who it is, in milliseconds. */
const HOLDER_ANSWER_MS = 1_000;

/**
 * Takes the folder for this process. A socket that this process listens on is the sign, because the system takes it
 * down with the process, however that ends; a process id in a file would outlive it, and be another's some day.
 * @param words what another process is told that wants the folder too
 * @throws DataFolderError with the words of the process that holds it
 */
export async function holdDataFolder(folder: DataFolder, words: string): Promise<HeldFolder> {
  const ownSocket = `${folder.holderSocket}.${randomBytes(6).toString('hex')}`;
  const server = await listen(ownSocket, words);
  try {
    for (;;) {
      if (linkOnce(ownSocket, folder.holderSocket)) break;
      const inode = inodeOf(folder.holderSocket);
      const holder = await askHolder(folder.holderSocket);
      if (holder !== null) {
        throw new DataFolderError(
          `${folder.data} is held by another Sendgate${holder === '' ? '' : ` (${holder})`}. Stop that one first, or choose another folder with SENDGATE_DATA_DIR.`,
        );
      }
      if (inode !== null) removeStale(folder.holderSocket, inode);
    }
  } catch (error) {
    server.close();
    rmSync(ownSocket, { force: true });
    throw error;
  }
  rmSync(ownSocket, { force: true });
  return {
    release() {
      rmSync(folder.holderSocket, { force: true });
      server.close();
    },
  };
}

function listen(path: string, words: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // It asked and went away.
    socket.end(words);
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new DataFolderError(`SENDGATE_DATA_DIR: ${error.message}`)));
    server.listen(path, () => resolve(server));
  });
}

/** Gives a socket its second name, unless somebody has it. */
function linkOnce(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function inodeOf(path: string): number | null {
  try {
    return lstatSync(path).ino;
  } catch {
    return null; // Released meanwhile.
  }
}

/** What the holder says of itself; '' when it is too busy to say anything; null when there is none. */
function askHolder(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let words = '';
    const socket: Socket = connect(path);
    socket.setEncoding('utf8').setTimeout(HOLDER_ANSWER_MS, () => socket.destroy());
    socket.on('data', (text) => {
      words += text;
    });
    socket.once('error', (error) => {
      if (codeOf(error) === 'ECONNREFUSED' || codeOf(error) === 'ENOENT') resolve(null);
    });
    socket.once('close', () => resolve(words));
  });
}

/**
 * Removes the sign of a process that is gone. Another process may do the same at this moment and have put up its own
 * already: what was taken away is looked at, and put back if it is not what was found dead.
 */
function removeStale(path: string, inode: number): void {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(path, aside);
    if (lstatSync(aside).ino !== inode) linkOnce(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error; // Somebody else removed it.
  } finally {
    rmSync(aside, { force: true });
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
