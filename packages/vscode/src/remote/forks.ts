/**
 * Extensions that open a window on a host of ssh, by the scheme of the program that they are made for. All of them take the authority
 * `ssh-remote+<host>`.
 */
const remoteSsh = {
  vscode: 'ms-vscode-remote.remote-ssh',
  'vscode-insiders': 'ms-vscode-remote.remote-ssh',
  cursor: 'anysphere.remote-ssh',
  windsurf: 'codeium.windsurf-remote-openssh',
  antigravity: 'google.antigravity-remote-openssh',
} as const

/** For VSCodium and others that are built from the open sources. */
const openRemoteSsh = 'jeanp413.open-remote-ssh'

/** Which one to install in a program of that URI scheme. */
export const remoteExtensionFor = (uriScheme: string): string =>
  Object.entries(remoteSsh).find(([scheme]) => scheme === uriScheme)?.[1] ?? openRemoteSsh

/** All that are known, those for this program first. */
export const remoteExtensions = (uriScheme: string): string[] => [
  ...new Set([remoteExtensionFor(uriScheme), ...Object.values(remoteSsh), openRemoteSsh]),
]
