/** @module The extension of VS Code: what is here puts its parts together. */
import { GibilError } from '@gibil/sdk'
import { commands, type ExtensionContext, window } from 'vscode'
import { registerCommands } from './commands/all.ts'
import { openDaemon } from './daemon/daemon.ts'
import { askBeforeBoxesEnd } from './expiry/asker.ts'
import { offerTools } from './mcp/provider.ts'
import { report } from './report.ts'
import { showStatus } from './status-bar.ts'
import { showBoxes } from './tree/boxes.ts'
import { showSnapshots } from './tree/snapshots.ts'
import { parseLink } from './uri.ts'

/** Called by VS Code. */
export async function activate(context: ExtensionContext): Promise<void> {
  const log = window.createOutputChannel('Gibil', { log: true })
  const daemon = await openDaemon(context)
  const run = registerCommands(context, daemon, log)
  const links = window.registerUriHandler({
    async handleUri({ path, query }) {
      const link = parseLink(path, query)
      if (!link)
        return report(log, new GibilError('invalid_request', `The link ${path} asks for nothing that is known.`))
      try {
        const target = { box: await (await daemon.gibil.get(link.box)).info() }
        if (link.action === 'open') await run('openFolder', target)
        else if (link.action === 'terminal') await run('terminal', target)
        else await commands.executeCommand('gibil.boxes.focus')
      } catch (error) {
        await report(log, error)
      }
    },
  })
  context.subscriptions.push(
    log,
    daemon,
    links,
    showBoxes(daemon),
    showSnapshots(daemon),
    showStatus(daemon),
    askBeforeBoxesEnd(daemon, run),
    offerTools(daemon, context.extension.packageJSON.version),
  )
}
