// The private DNS zones by which the app finds the private endpoints, linked to its network. A provider whose hub owns
// such zones leaves this module out (createDnsZones) and links its own.

@description('Required. The zones\' names, of this cloud.')
param zones array

@description('Required. The virtual network that looks names up in them.')
param networkId string

@description('Required. Tags of all.')
param tags object

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for name in zones: {
    name: name
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (name, i) in zones: {
    parent: zone[i]
    name: 'assay'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]
