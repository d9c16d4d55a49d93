// Looks at the private DNS zones of the provider's hub, before anything is made: that each is there, and that who deploys
// may read them. Makes nothing. Where one is not there, Azure says so by its name.

@description('Required. The id of the resource group that has them.')
param group string

@description('Required. The zones\' names, of this cloud.')
param zones array

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' existing = [
  for name in zones: {
    name: name
    scope: resourceGroup(split(group, '/')[2], split(group, '/')[4])
  }
]

@description('How many records each holds.')
output records array = [for (name, i) in zones: zone[i].properties.numberOfRecordSets]
