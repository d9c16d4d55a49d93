// A private endpoint of one service of one resource, and its names in the zone when there is one.

@description('Required. The region of the network.')
param location string

@description('Required. The endpoint\'s name.')
param name string

@description('Required. The subnet of the endpoints.')
param subnetId string

@description('Required. The resource that is reached.')
param targetId string

@description('Required. Which of its services: blob, queue, table, vault or Sql.')
@allowed(['blob', 'queue', 'table', 'vault', 'Sql'])
param service string

@description('Required. Whether its names are written into the zone; false where the provider\'s own network resolves them.')
param createNames bool

@description('Required. The private DNS zone of the service.')
param zoneId string

@description('Required. Tags.')
param tags object

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: '${name}-nic'
    privateLinkServiceConnections: [
      {
        name: service
        properties: {
          privateLinkServiceId: targetId
          groupIds: [service]
        }
      }
    ]
  }
}

module names 'endpoint-names.bicep' = if (createNames) {
  name: '${name}-names'
  params: {
    endpointName: endpoint.name
    zoneId: zoneId
  }
}
