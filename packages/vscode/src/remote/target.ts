import type { Box } from '@gibil/sdk'

/** As `gibil ssh-config` writes it: behind the suffix any box is a host, and one of a token by its id. */
const hostOf = ({ id, name, owner }: Pick<Box, 'id' | 'name' | 'owner'>): string =>
  `${owner === null ? name : id}.gibil`

/** The parts of the URI by which Remote-SSH opens a folder of a box. */
export const remoteFolder = (box: Pick<Box, 'id' | 'name' | 'owner'>, path: string) => ({
  scheme: 'vscode-remote',
  authority: `ssh-remote+${hostOf(box)}`,
  path,
})

/** Whether a config of ssh has the line that `gibil ssh-config --install` puts into it. */
export const includesConfig = (text: string, config: string): boolean =>
  text.split('\n').includes(`Include "${config.replaceAll('%', '%%')}"`)
