// The virtual network: a subnet for the function app and one for the private endpoints, each with a security group.
// Only the app's subnet reaches the endpoints, and only over TLS.

@description('Required. The region.')
param location string

@description('Required. The name of the virtual network; the security groups are named after it.')
param name string

@description('Required. The address range.')
param addressPrefix string

@description('Required. The app\'s part of the range.')
param appPrefix string

@description('Required. The endpoints\' part of the range.')
param endpointsPrefix string

@description('Required. To whom the app\'s subnet is delegated: Microsoft.App/environments on Flex, Microsoft.Web/serverFarms on Premium.')
@allowed(['Microsoft.App/environments', 'Microsoft.Web/serverFarms'])
param delegation string

@description('Required. The DNS servers; none: Azure\'s own.')
param dnsServers array

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags of all.')
param tags object

// Azure's own rules let the network in and nobody else; the app needs no more.
resource appRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${name}-app'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'deny-internet-in'
        properties: {
          description: 'Requests come through the platform, never through the subnet.'
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpointRules 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'app-over-tls'
        properties: {
          description: 'Cosmos DB, Storage and Key Vault, from the app.'
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-all-in'
        properties: {
          description: 'Nobody else, also not from a network that is peered later.'
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    dhcpOptions: { dnsServers: dnsServers }
    subnets: [
      {
        // No underscore: Flex Consumption takes none in this name.
        name: 'app'
        properties: {
          addressPrefix: appPrefix
          networkSecurityGroup: { id: appRules.id }
          delegations: [{ name: 'functions', properties: { serviceName: delegation } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          networkSecurityGroup: { id: endpointRules.id }
          // Else the group above would not hold for endpoints.
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

#disable-next-line use-recent-api-versions
resource networkLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: network
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

#disable-next-line use-recent-api-versions
resource appRulesLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: appRules
  properties: { workspaceId: workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

#disable-next-line use-recent-api-versions
resource endpointRulesLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: endpointRules
  properties: { workspaceId: workspaceId, logs: [{ categoryGroup: 'allLogs', enabled: true }] }
}

@description('The subnet of the function app.')
output appSubnetId string = network.properties.subnets[0].id

@description('The subnet of the private endpoints.')
output endpointsSubnetId string = network.properties.subnets[1].id

@description('The virtual network, to which the zones of private names are linked.')
output networkId string = network.id
