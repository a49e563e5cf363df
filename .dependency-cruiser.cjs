// The house's one-way flow, door -> daemon -> core -> port <- driver, as rules. `npm run check` and the tests run it.
const pkg = (...names) => `^packages/(${names.join('|')})/`
const only = (from, ...allowed) => ({
  name: `${from}-imports-only-${allowed.join('-') || 'nothing'}`,
  severity: 'error',
  from: { path: pkg(from), pathNot: '\\.test\\.ts$|/test/' },
  to: { path: '^packages/', pathNot: pkg(from, ...allowed) },
})

module.exports = {
  forbidden: [
    only('contract'),
    only('core', 'contract'),
    only('store', 'core', 'contract'),
    only('boxd-client', 'contract'),
    only('hostkit-client', 'contract'),
    only('host', 'core', 'contract', 'hostkit-client'),
    only('driver-container', 'core', 'contract', 'hostkit-client', 'host'),
    only('volumes', 'core', 'contract', 'hostkit-client', 'host'),
    only('driver-qemu', 'core', 'contract', 'cloud-init', 'hostkit-client', 'boxd-client', 'host'),
    only('driver-hetzner', 'core', 'contract', 'host', 'cloud-init'),
    only('boxd-ssh', 'core', 'contract'),
    only('ssh-gateway', 'boxd-client', 'contract'),
    only('cloud-init', 'contract'),
    only('door-e2b', 'core', 'contract', 'boxd-client'),
    only('images', 'core', 'contract', 'hostkit-client'),
    only('hetzner-sim'),
    only('sdk', 'contract'),
    only('mcp', 'sdk'),
    only('cli', 'sdk', 'mcp'),
    only('sandcastle', 'sdk'),
    only('computesdk', 'sdk'),
    only('vscode', 'sdk'),
    {
      name: 'core-has-no-io',
      severity: 'error',
      comment: 'core gets files, processes, network and time through ports',
      from: { path: pkg('core', 'contract'), pathNot: '\\.test\\.ts$|/test/' },
      to: { dependencyTypes: ['core'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, dependencyTypesNot: ['type-only'] } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: '\\.test\\.ts$|/main\\.ts$|config' }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
